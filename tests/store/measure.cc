// How fast event logs become rows: store_measure RUNS POINTS writes the logs of RUNS runs with
// POINTS training lines each, takes them all into a new store, and prints seconds, those of its own
// CPU time, rows and memory as JSON.

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>

#include "base/clock.h"
#include "store/writer.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::store {
namespace {

// A line as the trainer writes it.
run::Event line(std::int64_t seq, std::int64_t step) {
  const auto x = static_cast<double>(step);
  return {.seq = seq,
          .type = run::EventType::train,
          .t = 1.7e9 + x / 7,
          .step = step,
          .tokens = step * 2048,
          .epoch = x / 1000,
          .values = {{"loss", 2 + 8 / (1 + x / 50)},
                     {"lr", 1e-3 / (1 + x / 300)},
                     {"grad_norm", 0.5 + 1 / (1 + x)},
                     {"clip", 1},
                     {"clipped", 0},
                     {"mem_bytes", 104857600},
                     {"tok_s", 51234.56789 + x}}};
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  double sum = 0;
  for (const timeval& part : {usage.ru_utime, usage.ru_stime})
    sum += static_cast<double>(part.tv_sec) + 1e-6 * static_cast<double>(part.tv_usec);
  return sum;
}

Result<void> measure(int runs, std::int64_t points) {
  const test::TemporaryFolder folder;
  Result<Writer> writer = Writer::open(real_files(), system_clock(), folder.path());
  if (!writer) return std::move(writer).error();
  SweepRecord sweep{.name = "measured", .source = "# measured\n"};
  for (int i = 0; i < runs; ++i) {
    const run::RunSpec spec = test::small_spec(8, i);
    sweep.members.push_back({.id = run::run_id(spec), .spec = spec, .ordinal = i});
  }
  Result<SweepRow> row = writer->register_sweep(sweep);
  if (!row) return std::move(row).error();
  Result<std::vector<RunRow>> rows = writer->runs(row->id);
  if (!rows) return std::move(rows).error();

  std::string lines;
  for (std::int64_t step = 1; step <= points; ++step) lines += run::encode(line(step, step));
  std::vector<std::int64_t> attempts;
  for (const RunRow& each : *rows) {
    Result<std::int64_t> attempt = writer->begin_attempt(each.id, 1, each.run);
    if (!attempt) return std::move(attempt).error();
    attempts.push_back(*attempt);
    const run::RunFolder run(real_files(), writer->layout().run(each.run));
    if (Result<void> done = real_files().make_folders(run.attempt_path(1)); !done) return done;
    auto log = real_files().open_append(run.events_path(1));
    if (!log) return std::move(log).error();
    const std::string start = run::encode({.values = {{"token", each.run}}});
    if (Result<void> done = (*log)->append(start + lines); !done) return done;
  }

  const double before = peak_mib();
  const double began = system_clock().monotonic_seconds();
  const double used = cpu_seconds();
  std::int64_t events = 0;
  for (bool more = true; more;) {
    Result<IngestSummary> taken = writer->ingest(attempts);
    if (!taken) return std::move(taken).error();
    events += taken->events;
    more = taken->more;
  }
  const double seconds = system_clock().monotonic_seconds() - began;
  const double cpu = cpu_seconds() - used;
  const auto metrics = static_cast<double>((events - runs) * 7);
  fmt::print(
      "{{\"rows\": {}, \"seconds\": {:.4f}, \"cpu_s\": {:.4f}, \"rows_per_s\": {:.0f}, "
      "\"rows_per_cpu_s\": {:.0f}, \"log_bytes\": {}, "
      "\"mib_before\": {:.0f}, \"mib_peak\": {:.0f}}}\n",
      metrics,
      seconds,
      cpu,
      metrics / seconds,
      metrics / cpu,
      lines.size() * static_cast<std::size_t>(runs),
      before,
      peak_mib());
  return {};
}

}  // namespace
}  // namespace ration::store

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: store_measure RUNS POINTS\n");
    return 2;
  }
  const auto done = ration::store::measure(std::atoi(argv[1]), std::atoll(argv[2]));
  if (!done) fmt::print(stderr, "{}", done.error().describe());
  return done ? 0 : 1;
}
