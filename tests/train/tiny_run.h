#pragma once

// Runs that take milliseconds: a folder of prepared data, and run folders on it.

#include <map>
#include <string>

#include "run/run.h"
#include "support/temporary_folder.h"

namespace ration::test {

// 60 training documents of 11 tokens and 10 held out, vocabulary 17 with 16 as end token; runs of a
// model of one layer, width 8, context 8: 40 unique windows, 2.6 epochs in 26 steps.
class TinyData {
 public:
  TinyData();

  Path path() const { return folder_ / "data"; }
  Path operator/(std::string_view name) const { return folder_ / name; }

  run::RunSpec spec;
  run::Execution execution;

  // A run folder of `spec` and `execution`, under this name.
  run::RunFolder create(const std::string& name);

 private:
  TemporaryFolder folder_;
};

// All events of all attempts whose effects survive in the result: those of an attempt up to the
// step that the next one resumed from.
std::vector<run::Event> effective_events(const run::RunFolder& folder);

// Bytes of a file of the checkpoint that result.json names.
std::string final_bytes(const run::RunFolder& folder, const std::string& file);

// result.json; throws when there is none.
Json result_of(const run::RunFolder& folder);

// Step -> loss of all lines of one type.
std::map<std::int64_t, double> losses(const std::vector<run::Event>& events, run::EventType type);

}  // namespace ration::test
