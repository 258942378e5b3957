#pragma once

// Joins checkpoints into one, tensor by tensor, by a recipe. Inputs are read through their memory
// maps; sums are in f64 in the order of the models, tau in f32 (f64 where an input is f64), and
// each number is rounded once, to nearest even. The bytes do not depend on the number of threads.
//
//   Named base{"base", &base_checkpoint};
//   Result<Summary> done = merge_to_file(files, recipe, {.base = &base, .models = {{"a", &a}}},
//                                        "out.safetensors", {});
//
// Refused with ErrorKind::input, nothing being written: tensors, shapes or dtypes that differ (with
// the list), NaN or infinity (tensor, flat index, model; in a base that the method does not read,
// too), whole-number tensors that differ, a difference to the base or a result beyond the range of
// its dtype, and statistics that are missing, of another shape or of another run. Memory: a few MiB
// and two tensors of the output, beside what fits of the maps.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "merge/recipe.h"

namespace ration::merge {

struct Named {
  std::string name;  // for messages and the output's metadata
  const checkpoint::Checkpoint* checkpoint = nullptr;
  // Fisher information under the tensors' own names, or Gram matrices as "<name>.gram" [in, in].
  const checkpoint::Checkpoint* statistics = nullptr;
};

struct Inputs {
  const Named* base = nullptr;
  std::vector<Named> models;  // in the order of the recipe's models
};

// Where merged tensors go. begin() once, then tensor() for each of the layout, in its order; all
// calls from one thread at a time. An error ends the merge.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<void> begin(std::span<const checkpoint::TensorInfo> layout,
                             const checkpoint::Metadata& metadata) = 0;
  virtual Result<void> tensor(const checkpoint::TensorInfo& info,
                              std::span<const std::byte> bytes) = 0;
  // Instead of tensor() for one that is copied from an input. release(begin, end) lets go of the
  // memory of its bytes; who reads them piece by piece keeps large tensors out of memory.
  using Release = std::function<void(std::uint64_t begin, std::uint64_t end)>;
  virtual Result<void> copied(const checkpoint::TensorInfo& info,
                              std::span<const std::byte> bytes,
                              const Release& release) {
    Result<void> done = tensor(info, bytes);
    release(0, bytes.size());
    return done;
  }
};

// Another source of DARE's masks: sets keep[j] to 1 or 0 for element begin + j of a tensor.
using Mask = std::function<void(std::size_t model,
                                const checkpoint::TensorInfo& tensor,
                                std::uint64_t begin,
                                std::span<std::uint8_t> keep)>;

struct Options {
  int threads = 0;                         // 0 = all cores
  std::optional<checkpoint::DType> dtype;  // of float tensors; default: that of the base, or first
  std::string ignore;                      // ECMAScript regex on whole names: copied from the base
  bool resize = false;  // 2-D tensors of unequal row counts: their common rows, the rest from base
  bool input_digests = true;  // SHA-256 of each input into the metadata; reads them once more
  std::string version;        // of the program, for the metadata
  Json soup;                  // how a greedy soup chose the models, for the metadata; or null
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // elements of the output
  Mask mask;                                                              // default: Philox
};

struct Summary {
  std::uint64_t tensors = 0;
  std::uint64_t elements = 0;      // of the output
  std::uint64_t input_bytes = 0;   // of all inputs, each counted once
  std::uint64_t output_bytes = 0;  // of the tensors
  double seconds = 0;
  std::vector<std::string> warnings;

  std::string one_line() const;
};

Result<Summary> merge(const Recipe& recipe,
                      const Inputs& inputs,
                      Sink& sink,
                      const Options& options);

// Into a safetensors file that appears whole and durable, or not at all.
Result<Summary> merge_to_file(Files& files,
                              const Recipe& recipe,
                              const Inputs& inputs,
                              const Path& output,
                              const Options& options);

}  // namespace ration::merge
