#pragma once

// Weights that exist before a run: of another run of the same store, or of a safetensors file that
// is known by its content.
//
//   Result<Weights> weights = parse_weights("run:0123…ef@400");

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "run/spec.h"

namespace ration::run {

struct Weights {
  std::string run;        // run-id; empty for a file
  std::int64_t step = 0;  // of its checkpoint; 0 = the one that its result names
  std::string sha256;     // of the whole file; empty for a run

  bool operator==(const Weights&) const = default;
};

// "run:ID", "run:ID@STEP" (ID of 32, HEX of 64 lower-case hex digits, STEP from 1) or "sha256:HEX";
// ErrorKind::usage for anything else.
Result<Weights> parse_weights(std::string_view text);
std::string text(const Weights& weights);

// Neither init nor points: a law of training may take the run as a point.
bool trains_from_scratch(const RunSpec& spec);

// Problems of init, tune and points that no single range shows. Part of check().
std::vector<Error> check_weights(const RunSpec& spec);

}  // namespace ration::run
