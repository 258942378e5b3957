#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/eval_options.h"
#include "cli/eval_run.h"
#include "cli/option_reader.h"
#include "data/manifest.h"
#include "data/shards.h"
#include "data/stats.h"
#include "eval/pairs/continuations.h"
#include "eval/pairs/generate.h"

namespace ration::cli {
namespace {

constexpr std::uint64_t kSeed = 0;  // of the generated set that is taken without --data

Option strip_option() {
  return {.name = "strip-tags",
          .value = "WHEN",
          .default_value = "on",
          .help =
              "on or off: take <t> and </t> off the choices of files that have them, for "
              "documents have none."};
}

Result<eval::TaskOptions> task_options(const Arguments& arguments) {
  OptionReader read{arguments};
  eval::TaskOptions options;
  options.strip_tags =
      read.choice<bool>("strip-tags", {{"on", true}, {"off", false}}).value_or(true);
  options.set = arguments.text("set").value_or("fib");
  if (options.set.empty() || options.set.find('/') != std::string::npos)
    read.refuse(fmt::format("--set: \"{}\" names no set", options.set), "fib, factcc, mfma, fir …");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

Result<int> run_fib(const Arguments& arguments) {
  Result<eval::TaskOptions> options = task_options(arguments);
  if (!options) return std::move(options).error();
  const std::optional<std::string> path = arguments.text("data");
  if (!path && arguments.text("set"))
    return Error{.kind = ErrorKind::usage,
                 .what = "--set names a set of a folder, and no --data names that",
                 .hint = "add --data FOLDER, or leave --set out for the generated set"};
  Result<eval::PairTask> task =
      path ? eval::read_task(real_files(), *path, *options)
           : eval::parse_task(eval::generate_pairs({.seed = kSeed}), "generated.jsonl");
  if (!task) return std::move(task).error();
  return evaluate_task(arguments, path ? task->set : "generated", *task);
}

Result<int> run_pairs(const Arguments& arguments) {
  Result<eval::TaskOptions> options = task_options(arguments);
  if (!options) return std::move(options).error();
  const std::optional<std::string> path = arguments.text("data");
  if (!path)
    return Error{.kind = ErrorKind::usage,
                 .what = "no --data is given",
                 .hint =
                     "name a JSONL file of pairs; `ration eval generate` and `ration eval "
                     "continuations` write such files"};
  Result<eval::PairTask> task = eval::read_task(real_files(), *path, *options);
  if (!task) return std::move(task).error();
  return evaluate_task(arguments, task->set, *task);
}

Result<int> write_lines(const Arguments& arguments,
                        const std::string& lines,
                        std::string_view noun) {
  const std::string file = *arguments.text("out");
  if (Result<void> done = real_files().write_whole(file, lines); !done)
    return std::move(done).error();
  const auto items = static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  if (arguments.console.json)
    arguments.console.print_json(
        {{"schema", "ration.eval_pairs/1"}, {"file", file}, {"items", items}});
  else
    arguments.console.print(fmt::format("{}: {}\n", file, counted(items, noun)));
  return 0;
}

Result<int> run_generate(const Arguments& arguments) {
  OptionReader read{arguments};
  eval::GenerateOptions options;
  options.items = read.whole("items", 1, 100'000).value_or(options.items);
  options.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  if (!arguments.text("out")) read.refuse("no file to write is given", "add -o FILE");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  if (arguments.flag("text"))
    return write_lines(arguments, eval::generate_text(options), "document");
  return write_lines(arguments, eval::generate_pairs(options), "item");
}

// The held-out documents of prepared data as texts.
Result<std::vector<std::string>> held_out_texts(const Path& folder) {
  Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) return std::move(manifest).error();
  Result<data::TokenPool> pool =
      data::TokenPool::open(real_files(), folder, *manifest, data::Split::val);
  if (!pool) return std::move(pool).error();
  Result<std::unique_ptr<data::Tokenizer>> tokenizer =
      data::tokenizer_of(real_files(), folder, *manifest);
  if (!tokenizer) return std::move(tokenizer).error();
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < manifest->val.documents; ++i) {
    Result<std::string> text = data::document_text(*pool, **tokenizer, static_cast<std::size_t>(i));
    if (!text) return std::move(text).error();
    texts.push_back(*std::move(text));
  }
  return texts;
}

Result<int> run_continuations(const Arguments& arguments) {
  OptionReader read{arguments};
  eval::ContinuationOptions options;
  options.items = read.whole("items", 1, 1'000'000).value_or(options.items);
  options.document_bytes =
      read.whole("document-bytes", 20, 1'000'000).value_or(options.document_bytes);
  options.choice_bytes = read.whole("choice-bytes", 10, 100'000).value_or(options.choice_bytes);
  options.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  if (!arguments.text("out")) read.refuse("no file to write is given", "add -o FILE");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  Result<std::vector<std::string>> texts = held_out_texts(arguments.positional[0]);
  if (!texts) return std::move(texts).error();
  Result<std::string> lines = eval::continuation_pairs(*texts, options);
  if (!lines) return std::move(lines).error();
  return write_lines(arguments, *lines, "item");
}

Option pairs_file_option() {
  return {.name = "out",
          .value = "FILE",
          .help = "File to write: a line of JSON an item. Required.",
          .letter = 'o'};
}

}  // namespace

Command eval_fib_command() {
  std::vector<Option> options = eval_options("0,1,2");
  options.push_back({.name = "data",
                     .value = "PATH",
                     .help = "The folder of FIB's data (that holds xsum and cnn_dm), one corpus or "
                             "set of it, or one file; a generated set of five groups of 200 items "
                             "unless given."});
  options.push_back(
      {.name = "set",
       .value = "NAME",
       .help = "Of the folder of --data, which set: fib (judged by people; the default), factcc, "
               "mfma, fir …"});
  options.push_back(strip_option());
  return {.name = "eval fib",
          .summary = "Does a model prefer summaries that are consistent with their document?",
          .arguments = "",
          .options = std::move(options),
          .description =
              "Scores two summaries of each document and counts how often the consistent one is\n"
              "higher; 50 % is a coin. Accuracies of each distractor model and prompt, their\n"
              "medians over prompts weighted by items, and all items pooled, with intervals over\n"
              "documents.\n"
              "\n"
              "  ration eval fib --checkpoint RUN-ID\n"
              "  ration eval fib --checkpoint RUN-ID --data fib/multiple_choice-dataset --score "
              "all \\\n"
              "      -o fib-of-run",
          .execute = run_fib};
}

Command eval_pairs_command() {
  std::vector<Option> options = eval_options("0");
  options.push_back({.name = "data",
                     .value = "FILE",
                     .help = "JSON lines {\"id\",\"document\",\"consistent\",\"inconsistent\"}, "
                             "with \"group\" where items are of several kinds. Required."});
  options.push_back(strip_option());
  return {.name = "eval pairs",
          .summary = "Which of two texts does a model expect behind a document?",
          .arguments = "",
          .options = std::move(options),
          .description =
              "  ration eval continuations data/all -o mine.jsonl\n"
              "  ration eval pairs --checkpoint RUN-ID --data mine.jsonl --score avg,avg_pmi",
          .execute = run_pairs};
}

Command eval_generate_command() {
  return {
      .name = "eval generate",
      .summary = "Write a task of made-up documents and summaries",
      .arguments = "",
      .options =
          {pairs_file_option(),
           {.name = "items",
            .value = "N",
            .default_value = "200",
            .help = "Items of each of the five groups, 1 to 100000; the interval of a "
                    "group of 200 is ± 7 %."},
           {.name = "seed", .value = "N", .default_value = "0", .help = "Same seed, same file."},
           {.name = "text",
            .help = "Documents to train on instead, each told twice, with all of its facts "
                    "in other words behind it; take another seed than the task's."}},
      .description =
          "Groups: entity, number, date, negation, and verbatim, where the "
          "inconsistent choice is copied.\n\n"
          "  ration eval generate -o generated.jsonl --seed 1\n"
          "  ration eval generate --text --items 8000 --seed 2 -o facts.jsonl",
      .execute = run_generate};
}

Command eval_continuations_command() {
  const eval::ContinuationOptions defaults;
  return {
      .name = "eval continuations",
      .summary = "Write a task of held-out documents and how they go on",
      .arguments = "DATA",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = {pairs_file_option(),
                  {.name = "items",
                   .value = "N",
                   .default_value = fmt::to_string(defaults.items),
                   .help = "Items at most, 1 to 1000000; fewer where the held-out text ends."},
                  {.name = "document-bytes",
                   .value = "BYTES",
                   .default_value = fmt::to_string(defaults.document_bytes),
                   .help = "Of each document, 20 to 1000000; with the choice within the model's "
                           "context, or its end is cut off."},
                  {.name = "choice-bytes",
                   .value = "BYTES",
                   .default_value = fmt::to_string(defaults.choice_bytes),
                   .help = "Of each choice, 10 to 100000, up to the end of a word."},
                  {.name = "seed",
                   .value = "N",
                   .default_value = "0",
                   .help = "Order of documents, and whose continuation is the other choice."}},
      .description =
          "The consistent choice is what follows in the held-out text, the other one what\n"
          "follows elsewhere in it: small models tell them apart long before they summarise.\n\n"
          "  ration eval continuations data/all -o mine.jsonl",
      .execute = run_continuations};
}

}  // namespace ration::cli
