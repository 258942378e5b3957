#include <fmt/format.h>

#include "checkpoint/output_file.h"
#include "cli/commands.h"
#include "cli/terminal_text.h"
#include "cli/trainer_call.h"
#include "scheduler/local_executor.h"

namespace ration::cli {
namespace {

constexpr std::int64_t kMostSequences = 1'000'000'000;

Result<int> run_statistics(const Arguments& arguments) {
  const Console& console = arguments.console;
  const std::string& statistic = arguments.positional[0];
  const std::optional<std::string> run = arguments.text("run");
  const std::optional<std::string> out = arguments.text("out");
  if (statistic != "fisher" && statistic != "gram")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("\"{}\" is no statistic of a checkpoint", statistic),
                 .hint = "ask for fisher (method fisher) or gram (method regmean)"};
  if (!run || !out || run->empty() || out->empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "ration merge statistics needs a run and a file to write",
                 .hint = "add --run STORE/runs/RUN-ID and -o fisher.safetensors"};
  if (const Result<Path> file = checkpoint::output_file(*out); !file) return file.error();
  Result<Path> trainer = scheduler::find_trainer(arguments.text("trainer").value_or(""));
  if (!trainer) return std::move(trainer).error();
  std::vector<std::string> words = {
      "--statistics", statistic, arguments.positional[1], *run, "-o", *out};
  const Result<std::optional<std::int64_t>> sequences =
      arguments.whole("sequences", 1, kMostSequences);
  if (!sequences) return sequences.error();
  if (*sequences) words.push_back(fmt::format("sequences={}", **sequences));
  if (Result<void> done = call_trainer(*trainer, words); !done) return std::move(done).error();
  if (console.json)
    console.print_json(
        {{"schema", "ration.statistics/1"}, {"statistic", statistic}, {"file", *out}});
  else
    console.print(fmt::format("{}: {}\n", without_control_bytes(*out), statistic));
  return 0;
}

}  // namespace

Command merge_statistics_command() {
  return {
      .name = "merge statistics",
      .summary = "Measure what merging by Fisher information or RegMean needs to know of a model",
      .arguments = "fisher|gram DIR",
      .min_arguments = 2,
      .max_arguments = 2,
      .options =
          {{.name = "run",
            .value = "RUN",
            .help = "Folder of a run (the checkpoint that its result names, else its newest) or of "
                    "one checkpoint, whose tokenizer is that of DIR. Required."},
           {.name = "out",
            .value = "FILE",
            .help = "Safetensors file to write. Required.",
            .letter = 'o'},
           {.name = "sequences",
            .value = "N",
            .help = "Windows of DIR's training tokens, of the run's context, 1 to 1e9; 256 without "
                    "it."},
           {.name = "trainer",
            .value = "PROGRAM",
            .help = "The worker to run; ration-train beside this program or on PATH without it."}},
      .description =
          "fisher: of each parameter the mean over windows of the squared gradient of a window's "
          "log-likelihood. gram: of each linear map the matrix X'X of its inputs.\n"
          "\n"
          "  ration merge statistics fisher data/prose --run ration-runs/runs/RUN-ID -o "
          "prose.fisher.safetensors",
      .execute = run_statistics};
}

}  // namespace ration::cli
