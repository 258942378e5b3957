#include "train/packed_worker.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <thread>

#include "run/steps.h"
#include "train/device/backend.h"
#include "train/memory.h"
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
  {
    std::vector<std::unique_ptr<DeviceRuns>> each;
    for (const run::RunSpec& spec : specs)
      each.push_back(device::make_device_runs({spec}, options));
    device::finish(options.device);
    std::vector<std::exception_ptr> thrown(each.size());
    measured.side_by_side = rate_of([&] {
      {
        std::vector<std::jthread> threads;
        for (std::size_t k = 0; k < each.size(); ++k)
          threads.emplace_back([&, k] {
            try {
              device::take_own_stream(options.device);
              each[k]->submit({&step, 1});
              each[k]->take();
            } catch (...) {
              thrown[k] = std::current_exception();
            }
          });
      }
      for (const std::exception_ptr& any : thrown)
        if (any) std::rethrow_exception(any);
    });
  }
  device::give_back_memory(options.device);  // to whoever is measured or works next
  return measured;
}

// By what has to be done about it: continue, mend, or nothing.
run::WorkerExit common_exit(const std::vector<WorkerOutcome>& outcomes) {
  using enum run::WorkerExit;
  for (const run::WorkerExit exit :
       {preempted, preempted_at_once, usage, data, out_of_memory, other, fenced, diverged})
    for (const WorkerOutcome& outcome : outcomes)
      if (outcome.exit == exit) return exit;
  return done;
}

namespace {

// What keeps the second run from sharing a device with the first; empty when nothing does.
std::string why_not_together(const run::RunFile& a, const run::RunFile& b) {
  if (a.id == b.id) return "they are the same run";
  if (const std::string why = device::why_not_packable(a.spec, b.spec); !why.empty()) return why;
  const run::Execution &x = a.execution, &y = b.execution;
  if (x.device != y.device) return "device differs";
  if (x.micro_batch_sequences != y.micro_batch_sequences) return "micro_batch_sequences differs";
  if (x.recompute != y.recompute) return "recompute differs";
  if (x.deterministic != y.deterministic) return "deterministic differs";
  if (x.threads != y.threads) return "threads differs";
  return x.processes > 1 || y.processes > 1 ? "processes is above 1" : "";
}

WorkerOutcome failure_of(const std::exception& e) {
  if (is_out_of_memory(e))
    return {.exit = run::WorkerExit::out_of_memory,
            .error = Error{.kind = ErrorKind::resource,
                           .what = "out of memory",
                           .hint = "give fewer runs at once, or lower micro_batch_sequences"}};
  return {
      .exit = run::WorkerExit::other,
      .error = Error{.kind = ErrorKind::internal, .what = fmt::format("LibTorch: {}", e.what())}};
}

// Which way the runs take, what that rests on, and a line that says so.
struct Choice {
  Pack::Way way = Pack::Way::packed;
  bool in_processes = false;
  Json rates;
};

Choice choose_way(const std::vector<run::RunSpec>& specs,
                  const std::vector<Path>& run_folders,
                  const DeviceOptions& options,
                  const PackedOptions& packed,
                  const Surroundings& world) {
  Choice choice;
  Measured measured = measure_ways(specs, options);
  const double best = std::max(measured.packed, measured.side_by_side);
  if (measured.side_by_side > measured.packed) choice.way = Pack::Way::side_by_side;
  const bool is_long = static_cast<double>(run::steps_of(specs[0])) > packed.worth_processes * best;
  if (!packed.program.empty() && is_long)
    measured.processes = measure_processes(packed.program, run_folders, world.stop_requested);
  choice.in_processes = measured.processes && *measured.processes > best;
  choice.rates = measured.to_json();
  fmt::print(stderr,
             "{} runs on {}: {:.1f} steps/s of each packed, {:.1f} side by side{}: {}\n",
             specs.size(),
             options.device.str(),
             measured.packed,
             measured.side_by_side,
             with_processes(measured),
             choice.in_processes               ? "a process for each"
             : choice.way == Pack::Way::packed ? "packed"
                                               : "side by side");
  return choice;
}

// Runs that are neither finished nor unreadable, all of one shape: carries them out.
std::vector<WorkerOutcome> share_device(const std::vector<Path>& run_folders,
                                        const std::vector<run::RunFile>& files,
                                        Surroundings& world,
                                        const PackedOptions& packed) {
  const run::Execution& execution = files[0].execution;
  if (!packed.program.empty() && device::needs_no_device(files[0])) {
    // The processor's own passes are faster than a device's twin, and a core each is best.
    const auto cores = std::max<std::int64_t>(1, std::thread::hardware_concurrency());
    const auto at_once = std::max<std::int64_t>(1, cores / execution.threads);
    return work_in_processes(packed.program, run_folders, world, static_cast<std::size_t>(at_once));
  }
  Result<DeviceOptions> options = device::options_of(files[0]);
  if (!options) {
    std::vector<WorkerOutcome> outcomes(run_folders.size());  // `other`, as of a run alone
    outcomes[0].error = std::move(options).error();
    return outcomes;
  }
  at::set_num_threads(static_cast<int>(execution.threads));
  std::vector<run::RunSpec> specs;
  for (const run::RunFile& file : files) specs.push_back(file.spec);
  Choice choice;
  if (specs.size() > 1) choice = choose_way(specs, run_folders, *options, packed, world);
  if (choice.in_processes)
    return work_in_processes(packed.program, run_folders, world, run_folders.size());

  std::vector<WorkerOutcome> outcomes(run_folders.size());
  Pack pack(static_cast<std::int64_t>(specs.size()), *options, choice.way, std::move(choice.rates));
  std::vector<std::jthread> threads;
  for (std::size_t k = 0; k < run_folders.size(); ++k)
    threads.emplace_back([&, k] {
      bool seated = false;
      outcomes[k] = work({.run_folder = run_folders[k], .pack = &pack, .seated = &seated}, world);
      if (!seated) pack.give_up();
    });
  threads.clear();  // waits for them
  return outcomes;
}

}  // namespace

std::vector<WorkerOutcome> work_packed(const std::vector<Path>& run_folders,
                                       Surroundings& world,
                                       const PackedOptions& options) {
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
    for (std::size_t k = 0; k < files.size(); ++k)
      if (const std::string why = why_not_together(files[k], *file); !why.empty())
        return refuse({.kind = ErrorKind::usage,
                       .what = fmt::format("{} and {} cannot be trained side by side: {}",
                                           run_folders[k].string(),
                                           path.string(),
                                           why),
                       .hint = "give them to workers of their own"});
    files.push_back(std::move(*file));
  }
  std::vector<std::size_t> left;  // runs that have no result yet
  for (std::size_t k = 0; k < files.size(); ++k) {
    const std::optional<WorkerOutcome> finished = outcome_of_finished(run_folders[k], world.files);
    if (finished)
      outcomes[k] = *finished;
    else
      left.push_back(k);
  }
  if (left.empty()) return outcomes;
  std::vector<Path> folders;
  std::vector<run::RunFile> to_do;
  for (const std::size_t k : left) {
    folders.push_back(run_folders[k]);
    to_do.push_back(files[k]);
  }
  try {
    std::vector<WorkerOutcome> done = share_device(folders, to_do, world, options);
    for (std::size_t i = 0; i < left.size(); ++i) outcomes[left[i]] = std::move(done[i]);
  } catch (const std::exception& e) {  // LibTorch throws
    for (const std::size_t k : left) outcomes[k].exit = failure_of(e).exit;
    outcomes[left[0]] = failure_of(e);
  }
  return outcomes;
}

}  // namespace ration::train
