#include "train/processes/run_processes.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "train/device/backend.h"
#include "train/device/pack.h"

namespace ration::train {
namespace {

constexpr double kToGetReady = 120;  // s until all processes stand ready, or the way is given up
constexpr double kToRun = 120;       // s for their rounds
constexpr int kLookEvery = 50;       // ms, whether a stop is asked for

// A process that measures, and its two pipes.
class Pacer {
 public:
  Pacer(const std::string& program, const Path& run_folder) {
    std::array<int, 2> in{-1, -1}, out{-1, -1};
    if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) return;
    pid_ = start_child({.program = program,
                        .words = {"ration-train", "--pace", run_folder.string()},
                        .in = in[0],
                        .out = out[1]});
    close(in[0]);
    close(out[1]);
    go_ = in[1];
    said_ = out[0];
  }
  Pacer(Pacer&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        go_(std::exchange(other.go_, -1)),
        said_(std::exchange(other.said_, -1)) {}
  Pacer& operator=(Pacer&&) = delete;
  ~Pacer() {
    begin();
    if (said_ >= 0) close(said_);
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  void begin() {
    if (go_ >= 0) close(go_);
    go_ = -1;
  }

  // Its next line; nothing when it ends, the time is over, or a stop is asked for.
  std::optional<std::string> line(double deadline, const std::function<bool()>& stop_requested) {
    std::string text;
    while (pid_ > 0) {
      if (stop_requested() || system_clock().monotonic_seconds() > deadline) return std::nullopt;
      pollfd ready{.fd = said_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, kLookEvery) <= 0) continue;
      char letter = 0;
      if (read(said_, &letter, 1) != 1) return std::nullopt;
      if (letter == '\n') return text;
      text += letter;
    }
    return std::nullopt;
  }

 private:
  pid_t pid_ = -1;
  int go_ = -1, said_ = -1;
};

}  // namespace

Batch made_up_batch(const run::RunSpec& spec) {
  const at::Tensor tokens = at::arange(spec.batch_sequences * spec.context, at::kLong)
                                .mul_(7)
                                .remainder(spec.vocab)
                                .view({spec.batch_sequences, spec.context});
  return {tokens, tokens};
}

std::optional<double> measure_processes(const std::string& program,
                                        const std::vector<Path>& run_folders,
                                        const std::function<bool()>& stop_requested) {
  std::vector<Pacer> pacers;
  pacers.reserve(run_folders.size());
  for (const Path& folder : run_folders) pacers.emplace_back(program, folder);
  const double by = system_clock().monotonic_seconds() + kToGetReady;
  for (Pacer& pacer : pacers)
    if (pacer.line(by, stop_requested) != "ready") return std::nullopt;
  for (Pacer& pacer : pacers) pacer.begin();
  double slowest = 0;
  const double end = system_clock().monotonic_seconds() + kToRun;
  for (Pacer& pacer : pacers) {
    const std::optional<std::string> seconds = pacer.line(end, stop_requested);
    if (!seconds) return std::nullopt;
    slowest = std::max(slowest, std::strtod(seconds->c_str(), nullptr));
  }
  return slowest > 0 ? std::optional(kTimedRounds / slowest) : std::nullopt;
}

int keep_pace(const Path& run_folder, Files& files, std::FILE* in, std::FILE* out) {
  Result<run::RunFile> file = run::RunFolder(files, run_folder).read_spec();
  if (!file) return static_cast<int>(run::WorkerExit::usage);
  at::set_num_threads(static_cast<int>(file->execution.threads));
  Result<device::DeviceOptions> options = device::options_of(*file);
  if (!options) return static_cast<int>(run::WorkerExit::other);
  try {
    const std::unique_ptr<device::DeviceRuns> runs =
        device::make_device_runs({file->spec}, *options);
    const Batch batch = made_up_batch(file->spec);
    const device::RunStep step{.batch = &batch};  // at learning rate 0
    const auto rounds = [&](int count) {
      for (int i = 0; i < count; ++i) {
        runs->submit({&step, 1});
        runs->take();
      }
    };
    rounds(kWarmUpRounds);
    std::fputs("ready\n", out);
    std::fflush(out);
    while (std::fgetc(in) != EOF) {
    }
    const auto started = std::chrono::steady_clock::now();
    rounds(kTimedRounds);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
    fmt::print(out, "{}\n", spent.count());
    std::fflush(out);
  } catch (const std::exception&) {  // LibTorch throws: no room, most likely
    return static_cast<int>(run::WorkerExit::out_of_memory);
  }
  return 0;
}

std::vector<WorkerOutcome> work_in_processes(const std::string& program,
                                             const std::vector<Path>& run_folders,
                                             Surroundings& world,
                                             std::size_t at_once) {
  std::vector<WorkerOutcome> outcomes(run_folders.size());
  std::vector<std::size_t> order;  // of the children: whose run each carries out
  Children children(world.stop_requested);
  const auto left = [&] {
    const std::vector<bool> running = children.running();
    return static_cast<std::size_t>(std::count(running.begin(), running.end(), true));
  };
  for (std::size_t next = 0; next < run_folders.size() || children.any_left();) {
    const bool stopping = world.stop_requested();
    for (; next < run_folders.size() && (stopping || left() < at_once); ++next) {
      if (stopping) {
        outcomes[next].exit = run::WorkerExit::preempted;
      } else if (children.start(
                     {.program = program, .words = {"ration-train", run_folders[next].string()}})) {
        order.push_back(next);
      } else {
        outcomes[next].error = Error{.kind = ErrorKind::resource,
                                     .what = fmt::format("cannot start a process for {}: {}",
                                                         run_folders[next].string(),
                                                         std::strerror(errno)),
                                     .hint = "give fewer runs at once"};
      }
    }
    children.look();
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int code = *children.codes()[i];
    WorkerOutcome& outcome = outcomes[order[i]];
    if (code < kSignalBase)
      outcome.exit = static_cast<run::WorkerExit>(code);
    else
      outcome.error = Error{.kind = ErrorKind::resource,
                            .what = fmt::format("the process of {} was killed by signal {}",
                                                run_folders[order[i]].string(),
                                                code - kSignalBase),
                            .hint = "started again it continues"};
  }
  return outcomes;
}

}  // namespace ration::train
