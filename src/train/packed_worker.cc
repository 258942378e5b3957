#include "train/packed_worker.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "run/steps.h"
#include "train/device/backend.h"
#include "train/processes/run_processes.h"

namespace ration::train {
namespace {

using device::DeviceOptions;
using device::DeviceRuns;
using device::Pack;
using device::RunStep;

// Rounds a second of `rounds` calls, the last of which waits for the device.
template <class Round>
double rate_of(const Round& round) {
  for (int i = 0; i < kWarmUpRounds; ++i) round();
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimedRounds; ++i) round();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
  return kTimedRounds / spent.count();
}

std::string with_processes(const Measured& measured) {
  return measured.processes ? fmt::format(", {:.1f} in processes of their own", *measured.processes)
                            : "";
}

}  // namespace

Json Measured::to_json() const {
  Json json = {{"packed", packed}, {"side by side", side_by_side}};
  if (processes) json["processes"] = *processes;
  return json;
}

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

std::vector<WorkerOutcome> work_packed(const std::vector<Path>& run_folders,
                                       Surroundings& world,
                                       const PackedOptions& packed) {
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
  Json rates;
  if (specs.size() > 1) {
    Measured measured = measure_ways(specs, *options);
    double best = std::max(measured.packed, measured.side_by_side);
    if (measured.side_by_side > measured.packed) way = Pack::Way::side_by_side;
    const bool is_long =
        static_cast<double>(run::steps_of(specs[0])) > packed.worth_processes * best;
    if (!packed.program.empty() && is_long)
      measured.processes = measure_processes(packed.program, run_folders);
    const bool in_processes = measured.processes && *measured.processes > best;
    rates = measured.to_json();
    fmt::print(stderr,
               "{} runs on {}: {:.1f} steps/s of each packed, {:.1f} side by side{}: {}\n",
               specs.size(),
               options->device.str(),
               measured.packed,
               measured.side_by_side,
               with_processes(measured),
               in_processes               ? "a process for each"
               : way == Pack::Way::packed ? "packed"
                                          : "side by side");
    if (in_processes) return work_in_processes(packed.program, run_folders, world);
  }

  Pack pack(static_cast<std::int64_t>(specs.size()), *options, way, std::move(rates));
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
