#include "train/packed_worker.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "train/device/backend.h"

namespace ration::train {
namespace {

using device::DeviceOptions;
using device::DeviceRuns;
using device::Pack;
using device::RunStep;

constexpr std::int64_t kWarmUp = 2;       // rounds: the first records the step
constexpr std::int64_t kTimedRounds = 8;  // enough to tell ways apart that differ by a tenth

Batch made_up_batch(const run::RunSpec& spec) {
  const at::Tensor tokens = at::arange(spec.batch_sequences * spec.context, at::kLong)
                                .mul_(7)
                                .remainder(spec.vocab)
                                .view({spec.batch_sequences, spec.context});
  return {tokens, tokens};
}

// Rounds a second of `rounds` calls, the last of which waits for the device.
template <class Round>
double rate_of(const Round& round) {
  for (std::int64_t i = 0; i < kWarmUp; ++i) round();
  const auto started = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < kTimedRounds; ++i) round();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
  return static_cast<double>(kTimedRounds) / spent.count();
}

}  // namespace

Measured measure_ways(const std::vector<run::RunSpec>& specs, const DeviceOptions& options) {
  const Batch batch = made_up_batch(specs[0]);
  const RunStep step{.batch = &batch};  // at learning rate 0
  Measured measured;
  {
    const std::unique_ptr<DeviceRuns> runs = device::make_device_runs(specs, options);
    const std::vector<RunStep> steps(specs.size(), step);
    measured.packed = rate_of([&] {
      runs->submit(steps);
      runs->take();
    });
  }
  std::vector<std::unique_ptr<DeviceRuns>> each;
  for (const run::RunSpec& spec : specs) each.push_back(device::make_device_runs({spec}, options));
  device::finish(options.device);
  measured.side_by_side = rate_of([&] {
    std::vector<std::jthread> threads;
    for (const std::unique_ptr<DeviceRuns>& runs : each)
      threads.emplace_back([&] {
        device::take_own_stream(options.device);
        runs->submit({&step, 1});
        runs->take();
      });
  });
  return measured;
}

run::WorkerExit common_exit(const std::vector<WorkerOutcome>& outcomes) {
  run::WorkerExit common = run::WorkerExit::done;
  for (const WorkerOutcome& outcome : outcomes) {
    if (outcome.exit == run::WorkerExit::preempted) return outcome.exit;
    if (common == run::WorkerExit::done) common = outcome.exit;
  }
  return common;
}

std::vector<WorkerOutcome> work_packed(const std::vector<Path>& run_folders, Surroundings& world) {
  std::vector<WorkerOutcome> outcomes(run_folders.size());
  const auto refuse = [&](const Error& error) {
    for (WorkerOutcome& outcome : outcomes) outcome.exit = run::WorkerExit::usage;
    outcomes[0].error = error;
    return outcomes;
  };
  std::vector<run::RunFile> files;
  for (const Path& path : run_folders) {
    Result<run::RunFile> file = run::RunFolder(world.files, path).read_spec();
    if (!file) return refuse(file.error());
    files.push_back(std::move(*file));
    if (const std::string why = device::why_not_packable(files[0].spec, files.back().spec);
        !why.empty())
      return refuse({.kind = ErrorKind::usage,
                     .what = fmt::format("{} and {} cannot be trained side by side: {}",
                                         run_folders[0].string(),
                                         path.string(),
                                         why),
                     .hint = "give them to workers of their own"});
  }
  Result<DeviceOptions> options = device::options_of(files[0]);
  if (!options) return refuse(options.error());
  std::vector<run::RunSpec> specs;
  for (const run::RunFile& file : files) specs.push_back(file.spec);
  Pack::Way way = Pack::Way::packed;
  if (specs.size() > 1) {
    const Measured measured = measure_ways(specs, *options);
    if (measured.side_by_side > measured.packed) way = Pack::Way::side_by_side;
    fmt::print(stderr,
               "{} runs on {}: {:.1f} steps/s of each packed, {:.1f} side by side: {}\n",
               specs.size(),
               options->device.str(),
               measured.packed,
               measured.side_by_side,
               way == Pack::Way::packed ? "packed" : "side by side");
  }

  Pack pack(static_cast<std::int64_t>(specs.size()), *options, way);
  {
    std::vector<std::jthread> threads;
    for (std::size_t k = 0; k < run_folders.size(); ++k)
      threads.emplace_back([&, k] {
        bool seated = false;
        outcomes[k] = work({.run_folder = run_folders[k], .pack = &pack, .seated = &seated}, world);
        if (!seated) pack.give_up();
      });
  }
  return outcomes;
}

}  // namespace ration::train
