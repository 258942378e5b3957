// ration-train RUN_FOLDER… [--attempt N] [--token HEX]

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "train/packed_worker.h"
#include "train/worker.h"

namespace {

using ration::run::WorkerExit;

constexpr std::string_view kUsage =
    "usage: ration-train RUN_FOLDER… [--attempt N] [--token HEX]\n"
    "\n"
    "Carries out the run of RUN_FOLDER/run.json: trains, writes events and checkpoints, and "
    "publishes result.json.\n"
    "Started again after a crash it continues from the newest checkpoint; a finished run is left "
    "alone.\n"
    "Several folders: runs of one shape and number of steps, trained side by side on one device.\n"
    "SIGTERM or SIGUSR1: checkpoint and leave with 75; a second one: leave at once with 76.\n"
    "\n"
    "  --attempt N   the attempt that whoever starts the worker has claimed (default: claim the "
    "next)\n"
    "  --token HEX   token of that attempt, recorded in its log (default: none)\n"
    "\n"
    "Exit codes: 0 done, 1 other, 2 usage or run.json, 3 data, 4 diverged, 5 out of memory, 6 "
    "another attempt owns the run,\n"
    "75 preempted: continue later, 76 left at once\n";

volatile std::sig_atomic_t stop_signals = 0;  // a signal handler can reach nothing else

extern "C" void on_stop_signal(int) {
  stop_signals = stop_signals + 1;
  if (stop_signals > 1) _exit(static_cast<int>(WorkerExit::preempted_at_once));
}

int usage(std::string_view problem) {
  fmt::print(stderr, "error: {}\n{}", problem, kUsage);
  return static_cast<int>(WorkerExit::usage);
}

}  // namespace

int main(int argc, char** argv) {
  ration::train::WorkerOptions options;
  std::vector<ration::Path> more_folders;  // behind the first
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h") {
      fmt::print("{}", kUsage);
      return 0;
    }
    if (word == "--attempt" || word == "--token") {
      if (++i == argc) return usage(fmt::format("{} needs a value", word));
      const std::string_view value = argv[i];
      int number = 0;
      const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (word == "--token")
        options.token = value;
      else if (code == std::errc() && end == value.data() + value.size() && number > 0)
        options.attempt = number;
      else
        return usage(fmt::format("--attempt takes a number from 1 on, not \"{}\"", value));
    } else if (word.starts_with("-")) {
      return usage(fmt::format("unexpected \"{}\"", word));
    } else if (!options.run_folder.empty()) {
      more_folders.emplace_back(word);
    } else {
      options.run_folder = word;
    }
  }
  if (options.run_folder.empty()) return usage("a run folder is missing");

  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  std::signal(
      SIGXFSZ,
      SIG_IGN);  // a file that grows too large is an error of write, not the end of the process

  ration::train::Surroundings world{
      ration::real_files(), ration::system_clock(), [] { return stop_signals > 0; }, {}};
  if (!more_folders.empty()) {
    if (options.attempt) return usage("--attempt and --token belong to a single folder");
    more_folders.insert(more_folders.begin(), options.run_folder);
    const auto outcomes = ration::train::work_packed(more_folders, world);
    for (const auto& each : outcomes)
      if (each.error) std::fputs(each.error->describe().c_str(), stderr);
    std::fflush(nullptr);
    _exit(static_cast<int>(ration::train::common_exit(outcomes)));
  }
  const bool live = isatty(STDERR_FILENO) == 1;
  if (live)
    world.show_line = [](const std::string& line) { fmt::print(stderr, "\r\x1b[K{}", line); };
  const ration::train::WorkerOutcome outcome = work(options, world);
  if (live) fmt::print(stderr, "\n");
  if (outcome.error) std::fputs(outcome.error->describe().c_str(), stderr);
  std::fflush(nullptr);
  _exit(static_cast<int>(outcome.exit));  // LibTorch's own clean-up takes longer than a small run
}
