#pragma once

#include <gtest/gtest.h>

#include "store/writer.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::store {

// Time that stands still until told otherwise.
class StillClock final : public Clock {
 public:
  double unix_seconds() override { return now + wall_offset; }
  double monotonic_seconds() override { return now; }
  void sleep(double seconds) override { now += seconds; }
  double now = 1.7e9;
  double wall_offset = 0;  // what people did to the wall clock
};

inline constexpr const char* kToken = "00112233445566778899aabbccddeeff";
inline constexpr const char* kOtherToken = "ffeeddccbbaa99887766554433221100";

inline Member member_of(const run::RunSpec& spec, std::int64_t ordinal) {
  return {
      .id = run::run_id(spec), .spec = spec, .execution = {.data = "/data"}, .ordinal = ordinal};
}

class StoreTest : public testing::Test {
 protected:
  Writer open_writer(const WriterOptions& options = {}) {
    return Writer::open(real_files(), clock, folder.path(), options).value();
  }
  Reader open_reader() { return Reader::open(real_files(), folder.path()).value(); }

  // Registers a sweep of these specs; the runs' row ids in order.
  std::vector<std::int64_t> add_sweep(Writer& writer,
                                      const std::vector<run::RunSpec>& specs,
                                      const std::string& name = "tiny",
                                      const std::string& source = "# a sweep\n") {
    SweepRecord record{.name = name, .file = "/sweeps/" + name + ".toml", .source = source};
    for (const run::RunSpec& spec : specs)
      record.members.push_back(member_of(spec, static_cast<std::int64_t>(record.members.size())));
    const SweepRow sweep = writer.register_sweep(record).value();
    std::vector<std::int64_t> ids;
    const std::vector<RunRow> rows = writer.runs(sweep.id).value();
    for (const RunRow& row : rows) ids.push_back(row.id);
    return ids;
  }

  // Ends a run with this loss.
  void finish(
      Writer& writer, std::int64_t run, const run::RunSpec& spec, double loss, int number = 1) {
    const std::string token = run::run_id(spec);
    const std::int64_t attempt = writer.begin_attempt(run, number, token).value();
    ASSERT_TRUE(writer.end_attempt(attempt,
                                   {.state = AttemptState::succeeded, .exit_code = 0},
                                   {.state = RunState::done},
                                   test::result_of(spec, number, loss)));
  }

  run::RunFolder run_folder(const run::RunSpec& spec) {
    return {real_files(), Layout{folder.path()}.run(run::run_id(spec))};
  }

  test::TemporaryFolder folder;
  StillClock clock;
};

}  // namespace ration::store
