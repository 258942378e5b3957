// ration-train RUN… [--attempt N] [--token HEX] | --score … | --pairs … | --bench … | --smoke

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "run/folder.h"
#include "train/bench.h"
#include "train/experts/report.h"
#include "train/memory.h"
#include "train/packed_worker.h"
#include "train/pairs/score_pairs.h"
#include "train/processes/child.h"
#include "train/processes/group.h"
#include "train/processes/launch.h"
#include "train/processes/run_processes.h"
#include "train/score.h"
#include "train/smoke.h"
#include "train/statistics.h"
#include "train/worker.h"

namespace {

using ration::run::WorkerExit;

constexpr std::string_view kUsage =
    "usage: ration-train RUN… [--attempt N] [--token HEX]\n"
    "       ration-train --score DATA CHECKPOINT -o FILE [source=N] [NAME=VALUE …]\n"
    "       ration-train --pairs LIST CHECKPOINT… -o FILE [--like RUN] [batch_tokens=N] "
    "[source=N] [NAME=VALUE …]\n"
    "       ration-train --statistics fisher|gram DATA CHECKPOINT -o FILE [sequences=N] "
    "[NAME=VALUE …]\n"
    "       ration-train --experts CHECKPOINT -o FILE [sequences=N] [NAME=VALUE …]\n"
    "       ration-train --bench [RUN] [NAME=VALUE …] [--steps N] [--json] [--export FILE]\n"
    "       ration-train --smoke [FOLDER]\n"
    "\n"
    "Carries out the run of RUN, a folder or the run.json in it: trains, writes events and "
    "checkpoints, and\n"
    "publishes result.json.\n"
    "Started again after a crash it continues from the newest checkpoint; a finished run is left "
    "alone.\n"
    "A run with `processes` above 1 starts itself so often; under torchrun, srun and their like it "
    "joins the others by\n"
    "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.\n"
    "Several folders: runs of one shape and number of steps, trained side by side on one device.\n"
    "SIGTERM or SIGUSR1: checkpoint and leave with 75; SIGTERM after that: leave at once with "
    "76.\n"
    "\n"
    "  --attempt N   the attempt that whoever starts the worker has claimed (default: claim the "
    "next)\n"
    "  --token HEX   token of that attempt, recorded in its log (default: none)\n"
    "\n"
    "  --score       write what each training document of the prepared data DATA costs to predict, "
    "in nats; CHECKPOINT is a\n"
    "                run's folder, for its last one, or a checkpoint's; execution settings "
    "(device, "
    "threads, …) replace the run's;\n"
    "                a router that is told sources reads DATA as the run's source that they are, "
    "or as number `source`\n"
    "  -o FILE       the scores, as JSON lines\n"
    "\n"
    "  --pairs       write ln p of each token of the choices of LIST behind their prompts, as JSON "
    "lines; each prompt goes\n"
    "                through the model once, `batch_tokens` tokens together (2048); a router that "
    "is told sources reads all\n"
    "                as number `source`: 0, the run's main data\n"
    "  --like RUN    the checkpoints of --pairs are files of weights, of a model with the settings "
    "of RUN\n"
    "\n"
    "  --statistics  what merging needs to know of a checkpoint, over `sequences` windows of "
    "DATA's "
    "training tokens (256):\n"
    "                fisher, the mean squared gradient of a window's log-likelihood; gram, X'X of "
    "the inputs of linear maps;\n"
    "                -o FILE gets them as safetensors\n"
    "\n"
    "  --experts     how the experts of a checkpoint are used on held-out text of the run's data "
    "and of its auxiliary\n"
    "                sources, `sequences` windows of each (256): who computes what, whether "
    "experts "
    "tell sources apart,\n"
    "                and what each source loses without each expert; -o FILE gets it as JSON\n"
    "\n"
    "  --bench       measure speed, memory and where the time goes, on drawn tokens; settings of "
    "`ration help settings`\n"
    "                replace those of RUN, or of a model of 0.2 M parameters: --bench width=384 "
    "layers=6 heads=6\n"
    "  --steps N     steps to measure (default: as many as take 3 s, at least 3)\n"
    "  --runs N      so many runs of one shape side by side on a device (default 1)\n"
    "  --export FILE write the first weights and all tokens as safetensors, to compare with "
    "another program\n"
    "  --coordinates print how large a model's numbers are by width after 3 steps instead: flat "
    "under "
    "parametrisation=mup\n"
    "  --json        print one JSON object\n"
    "  --smoke       check this installation in seconds: writing (in FOLDER, default the system's "
    "temporary one),\n"
    "                a loss known from another program, learning, resuming; exit 0 when all is "
    "well, else 1\n"
    "\n"
    "Exit codes: 0 done, 1 other, 2 usage or run.json, 3 data, 4 diverged, 5 out of memory, 6 "
    "another attempt owns the run,\n"
    "75 preempted: continue later, 76 left at once\n";

// A signal handler can reach nothing else.
volatile std::sig_atomic_t stop_signals = 0;
volatile std::sig_atomic_t first_signal_s = 0;  // monotonic
bool in_child = false;

// A child may get one request twice, from its parent and from whoever signals all of a job.
constexpr std::sig_atomic_t kSameRequest = 2;  // s

// SIGUSR1 is a queue's forewarning: however often it comes, there is time for a checkpoint.
extern "C" void on_stop_signal(int number) {
  if (number == SIGUSR1 && stop_signals > 0) return;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto second = static_cast<std::sig_atomic_t>(now.tv_sec);
  if (stop_signals == 0) first_signal_s = second;
  if (in_child && stop_signals > 0 && second - first_signal_s <= kSameRequest) return;
  stop_signals = stop_signals + 1;
  if (stop_signals > 1) _exit(static_cast<int>(WorkerExit::preempted_at_once));
}

int usage(std::string_view problem) {
  fmt::print(stderr, "error: {}\n{}", problem, kUsage);
  return static_cast<int>(WorkerExit::usage);
}

struct CommandLine {
  enum class Mode { work, score, pairs, statistics, experts, bench, smoke, pace };
  Mode mode = Mode::work;
  ration::train::WorkerOptions work = {};
  std::vector<ration::Path> more_folders = {};  // behind the first, of runs side by side
  ration::train::ScoreOptions score = {};
  ration::train::PairOptions pairs = {};
  ration::train::StatisticsOptions statistics = {};
  ration::train::BenchOptions bench = {};
  ration::Path smoke_folder = {};
  bool help = false;
};

std::vector<ration::Path*> folders_of(CommandLine& line) {
  std::vector<ration::Path*> all = {&line.work.run_folder};
  for (ration::Path& more : line.more_folders) all.push_back(&more);
  return all;
}

// True where a checkpoint is asked something of data.
bool judges(const CommandLine& line) {
  return line.mode == CommandLine::Mode::score || line.mode == CommandLine::Mode::statistics ||
         line.mode == CommandLine::Mode::experts;
}

// A word that stands by itself behind --pairs: a setting, or one more checkpoint.
void take_pairs_word(std::string_view word, ration::train::PairOptions& pairs) {
  const std::size_t equals = word.find('=');
  if (equals != std::string_view::npos &&
      word.substr(0, equals).find('/') == std::string_view::npos)
    pairs.settings.emplace_back(word);
  else
    pairs.checkpoints.emplace_back(word);
}

// What is missing behind --pairs; takes over where the output goes.
std::string finish_pairs(CommandLine& line) {
  line.pairs.output = line.score.output;
  if (line.pairs.checkpoints.empty()) return "--pairs takes a list and a checkpoint";
  if (line.pairs.output.empty()) return "--pairs needs -o, the file to write";
  return {};
}

// The command line, or what is wrong with it.
std::string parse(std::span<char*> words, CommandLine& line) {
  std::optional<ration::Path> run;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const bool takes_value = word == "--attempt" || word == "--token" || word == "--steps" ||
                             word == "--export" || word == "--runs" || word == "-o" ||
                             word == "--statistics" || word == "--pairs" || word == "--like" ||
                             word == "--experts";
    std::string_view value;
    int number = 0;
    if (takes_value) {
      if (++i == words.size()) return fmt::format("{} needs a value", word);
      value = words[i];
      if (word == "--attempt" || word == "--steps" || word == "--runs") {
        const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (code != std::errc() || end != value.data() + value.size() || number < 1)
          return fmt::format("{} takes a number from 1 on, not \"{}\"", word, value);
      }
    }
    if (word == "--help" || word == "-h")
      line.help = true;
    else if (word == "--score")
      line.mode = CommandLine::Mode::score;
    else if (word == "--statistics") {
      line.mode = CommandLine::Mode::statistics;
      const auto kind = ration::train::statistic_named(value);
      if (!kind) return fmt::format("--statistics takes fisher or gram, not \"{}\"", value);
      line.statistics.statistic = *kind;
    } else if (word == "--pairs") {
      line.mode = CommandLine::Mode::pairs;
      line.pairs.list = value;
    } else if (word == "--experts") {
      line.mode = CommandLine::Mode::experts;
      line.score.checkpoint = value;
    } else if (word == "--like")
      line.pairs.like = value;
    else if (word == "-o")
      line.score.output = value;
    else if (word == "--bench")
      line.mode = CommandLine::Mode::bench;
    else if (word == "--smoke")
      line.mode = CommandLine::Mode::smoke;
    else if (word == "--pace")  // for ourselves: see train/processes/run_processes.h
      line.mode = CommandLine::Mode::pace;
    else if (word == "--json")
      line.bench.json = true;
    else if (word == "--coordinates")
      line.bench.coordinates = true;
    else if (word == "--attempt")
      line.work.attempt = number;
    else if (word == "--token")
      line.work.token = value;
    else if (word == "--steps")
      line.bench.steps = number;
    else if (word == "--runs")
      line.bench.runs = number;
    else if (word == "--export")
      line.bench.export_to = value;
    else if (!word.starts_with("-") && word.find('=') != std::string_view::npos &&
             line.mode == CommandLine::Mode::bench)
      line.bench.settings.emplace_back(word);
    else if (line.mode == CommandLine::Mode::pairs && !word.starts_with("-"))
      take_pairs_word(word, line.pairs);
    else if (judges(line) && !word.starts_with("-") && !line.score.checkpoint.empty())
      line.score.settings.emplace_back(word);
    else if (judges(line) && !word.starts_with("-"))
      (line.score.data.empty() ? line.score.data : line.score.checkpoint) = word;
    else if (word.starts_with("-") || (run && line.mode != CommandLine::Mode::work))
      return fmt::format("unexpected \"{}\"", word);
    else if (run)
      line.more_folders.emplace_back(word);
    else
      run = word;
  }
  if (judges(line) && !line.help) {
    const char* mode = line.mode == CommandLine::Mode::score     ? "--score"
                       : line.mode == CommandLine::Mode::experts ? "--experts"
                                                                 : "--statistics";
    if (line.score.checkpoint.empty())
      return fmt::format("{} takes prepared data and a checkpoint", mode);
    if (line.score.output.empty()) return fmt::format("{} needs -o, the file to write", mode);
  }
  if (line.mode != CommandLine::Mode::pairs && !line.pairs.like.empty())
    return "--like belongs to --pairs";
  if (line.mode == CommandLine::Mode::pairs && !line.help)
    if (std::string problem = finish_pairs(line); !problem.empty()) return problem;
  if (line.mode == CommandLine::Mode::work) {
    if (!run && !line.help) return "a run folder is missing";
    line.work.run_folder = run.value_or("");
    for (ration::Path* folder : folders_of(line))  // the file in place of its folder
      if (folder->filename() == "run.json")
        *folder = folder->parent_path().empty() ? ration::Path(".") : folder->parent_path();
  }
  line.bench.run = run;
  line.smoke_folder = run.value_or(std::filesystem::temp_directory_path());
  return {};
}

int bench(const ration::train::BenchOptions& options) {
  if (options.coordinates) {
    const ration::Result<std::string> table =
        ration::train::bench_coordinates(options, ration::real_files());
    std::fputs(table ? table->c_str() : table.error().describe().c_str(), table ? stdout : stderr);
    return table ? 0 : static_cast<int>(WorkerExit::usage);
  }
  const ration::Result<ration::Json> report = ration::train::bench(options, ration::real_files());
  if (!report) {
    std::fputs(report.error().describe().c_str(), stderr);
    return static_cast<int>(WorkerExit::usage);
  }
  if (options.json)
    fmt::print("{}\n", report->dump());
  else
    fmt::print("{}", ration::train::bench_text(*report));
  return 0;
}

// The processes that a run asks for beside this one, started and waited for; nothing when it is to
// be carried out here, or its folder has something to say first.
std::optional<int> launch_processes(const ration::Path& path, std::span<char*> words) {
  const ration::run::RunFolder folder(ration::real_files(), path);
  const auto file = folder.read_spec();
  const auto result = folder.result();
  if (!file || file->execution.processes == 1 || !result || *result) return std::nullopt;
  const auto launched = ration::train::launch(
      {.command = {words.begin(), words.end()},
       .processes = static_cast<int>(file->execution.processes),
       .meeting = std::filesystem::absolute(path / fmt::format("meeting-{}.tmp", getpid())),
       .stop_requested = [] { return stop_signals > 0; }});
  if (!launched) {
    std::fputs(launched.error().describe().c_str(), stderr);
    return static_cast<int>(WorkerExit::other);
  }
  if (!launched->what.empty()) fmt::print(stderr, "error: {}\n", launched->what);
  return launched->exit;
}

// Of the GPUs that this machine's processes may use, each takes the one of its number, before
// anything looks at them.
void take_own_gpu() {
  const char* own = std::getenv("LOCAL_RANK");
  if (own == nullptr) return;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible == nullptr) {
    setenv("CUDA_VISIBLE_DEVICES", own, 1);
    return;
  }
  std::string_view list = visible;
  for (int left = std::atoi(own); left > 0 && list.find(',') != std::string_view::npos; --left)
    list.remove_prefix(list.find(',') + 1);
  setenv("CUDA_VISIBLE_DEVICES", std::string(list.substr(0, list.find(','))).c_str(), 1);
}

// What is asked of a checkpoint.
int judge(CommandLine& line) {
  ration::train::Surroundings world{
      ration::real_files(), ration::system_clock(), [] { return false; }, {}};
  const auto say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  line.statistics.of = line.score;
  const ration::train::WorkerOutcome outcome =
      line.mode == CommandLine::Mode::score   ? ration::train::score(line.score, world, say)
      : line.mode == CommandLine::Mode::pairs ? ration::train::score_pairs(line.pairs, world, say)
      : line.mode == CommandLine::Mode::experts
          ? ration::train::experts::write_experts(line.score, world, say)
          : ration::train::write_statistics(line.statistics, world, say);
  if (outcome.error) std::fputs(outcome.error->describe().c_str(), stderr);
  return static_cast<int>(outcome.exit);
}

int smoke(const ration::Path& folder) {
  bool all = true;
  ration::train::smoke(ration::real_files(), folder, [&](const ration::train::SmokeCheck& check) {
    all = all && check.passed;
    fmt::print("{}  {:<10}{}\n", check.passed ? "ok  " : "FAIL", check.name, check.detail);
    std::fflush(stdout);
  });
  fmt::print("{}\n", all ? "this installation trains" : "this installation must not be used");
  return all ? 0 : 1;
}

// Several folders.
int work_on_all(CommandLine& line, ration::train::Surroundings& world) {
  if (line.work.attempt) return usage("--attempt and --token belong to a single folder");
  const auto meeting = ration::train::meeting_of_environment();
  if (!meeting || *meeting)
    return usage("WORLD_SIZE belongs to a single folder, whose run several processes share");
  std::vector<ration::Path> all;
  for (const ration::Path* folder : folders_of(line)) all.push_back(*folder);
  const auto outcomes =
      ration::train::work_packed(all, world, {.program = ration::train::kThisProgram});
  for (const auto& each : outcomes)
    if (each.error) std::fputs(each.error->describe().c_str(), stderr);
  return static_cast<int>(ration::train::common_exit(outcomes));
}

int work_on_one(CommandLine& line, ration::train::Surroundings& world, std::span<char*> words) {
  const auto meeting = ration::train::meeting_of_environment();
  if (!meeting) {
    std::fputs(meeting.error().describe().c_str(), stderr);
    return static_cast<int>(WorkerExit::usage);
  }
  if (*meeting) {
    line.work.meeting = &**meeting;
    take_own_gpu();
  } else if (const std::optional<int> code = launch_processes(line.work.run_folder, words)) {
    return *code;
  }
  const bool live = isatty(STDERR_FILENO) == 1 && (!*meeting || (*meeting)->rank == 0);
  if (live)
    world.show_line = [](const std::string& text) { fmt::print(stderr, "\r\x1b[K{}", text); };
  const ration::train::WorkerOutcome outcome = work(line.work, world);
  if (live) fmt::print(stderr, "\n");
  if (outcome.error) std::fputs(outcome.error->describe().c_str(), stderr);
  return static_cast<int>(outcome.exit);
}

int carry_out(CommandLine& line, std::span<char*> words) {
  switch (line.mode) {
    case CommandLine::Mode::pace:
      return ration::train::keep_pace(line.smoke_folder, ration::real_files(), stdin, stdout);
    case CommandLine::Mode::score:
    case CommandLine::Mode::pairs:
    case CommandLine::Mode::statistics:
    case CommandLine::Mode::experts:
      return judge(line);
    case CommandLine::Mode::bench:
      return bench(line.bench);
    case CommandLine::Mode::smoke:
      return smoke(line.smoke_folder);
    case CommandLine::Mode::work:
      break;
  }
  in_child = ration::train::is_child();
  ration::train::listen_to_stop_signals(on_stop_signal);
  std::signal(
      SIGXFSZ,
      SIG_IGN);  // a file that grows too large is an error of write, not the end of the process
  ration::train::Surroundings world{
      ration::real_files(), ration::system_clock(), [] { return stop_signals > 0; }, {}};
  return line.more_folders.empty() ? work_on_one(line, world, words) : work_on_all(line, world);
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  const std::string problem = parse(std::span(argv + 1, argv + argc), line);
  if (!problem.empty()) return usage(problem);
  if (line.help) {
    fmt::print("{}", kUsage);
    return 0;
  }
  int code = 0;
  try {
    code = carry_out(line, std::span(argv, argv + argc));
  } catch (const std::exception& e) {  // LibTorch throws
    const bool memory = ration::train::is_out_of_memory(e);
    fmt::print(stderr, "error: {}\n", memory ? "out of memory" : e.what());
    code = static_cast<int>(memory ? WorkerExit::out_of_memory : WorkerExit::other);
  }
  std::fflush(nullptr);
  _exit(code);  // LibTorch's own clean-up takes longer than a small run
}
