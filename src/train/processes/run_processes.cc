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
constexpr useconds_t kLookEvery = 50'000;  // µs

// A process that measures, and its two pipes.
class Pacer {
 public:
  Pacer(const std::string& program, const Path& run_folder) {
    std::array<int, 2> in{-1, -1}, out{-1, -1};
    if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) return;
    const pid_t self = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      become(program, {"ration-train", "--pace", run_folder.string()}, self);
    }
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

  // Its next line; nothing when it ends or the time is over.
  std::optional<std::string> line(double deadline) {
    std::string text;
    while (pid_ > 0) {
      const double left = deadline - system_clock().monotonic_seconds();
      pollfd ready{.fd = said_, .events = POLLIN, .revents = 0};
      if (left <= 0 || poll(&ready, 1, static_cast<int>(1000 * left) + 1) <= 0) return std::nullopt;
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
                                        const std::vector<Path>& run_folders) {
  std::vector<Pacer> pacers;
  pacers.reserve(run_folders.size());
  for (const Path& folder : run_folders) pacers.emplace_back(program, folder);
  const double by = system_clock().monotonic_seconds() + kToGetReady;
  for (Pacer& pacer : pacers)
    if (pacer.line(by) != "ready") return std::nullopt;
  for (Pacer& pacer : pacers) pacer.begin();
  double slowest = 0;
  const double end = system_clock().monotonic_seconds() + kToRun;
  for (Pacer& pacer : pacers) {
    const std::optional<std::string> seconds = pacer.line(end);
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
                                             Surroundings& world) {
  struct Child {
    pid_t pid = 0;
    bool ended = false;
  };
  std::vector<WorkerOutcome> outcomes(run_folders.size());
  std::vector<Child> children;
  const pid_t self = getpid();
  for (std::size_t k = 0; k < run_folders.size(); ++k) {
    const pid_t pid = fork();
    if (pid == 0) become(program, {"ration-train", run_folders[k].string()}, self);
    children.push_back({.pid = pid, .ended = pid < 0});
    if (pid > 0) continue;
    outcomes[k] = {.exit = run::WorkerExit::other,
                   .error = Error{.kind = ErrorKind::resource,
                                  .what = fmt::format("cannot start a process for {}: {}",
                                                      run_folders[k].string(),
                                                      std::strerror(errno)),
                                  .hint = "give fewer runs at once"}};
  }
  bool told = false;
  while (true) {
    bool any = false;
    for (std::size_t k = 0; k < children.size(); ++k) {
      int status = 0;
      if (children[k].ended) continue;
      if (waitpid(children[k].pid, &status, WNOHANG) != children[k].pid) {
        any = true;
        continue;
      }
      children[k].ended = true;
      const int code = exit_code_of(status);
      if (code < kSignalBase)
        outcomes[k].exit = static_cast<run::WorkerExit>(code);
      else
        outcomes[k] = {
            .exit = run::WorkerExit::other,
            .error = Error{.kind = ErrorKind::resource,
                           .what = fmt::format("the process of {} was killed by signal {}",
                                               run_folders[k].string(),
                                               code - kSignalBase),
                           .hint = "started again it continues"}};
    }
    if (!any) return outcomes;
    if (!told && world.stop_requested()) {
      told = true;
      for (const Child& child : children)
        if (!child.ended) kill(child.pid, SIGTERM);
    }
    usleep(kLookEvery);
  }
}

}  // namespace ration::train
