#include "cli/eval_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/eval_checkpoint.h"
#include "cli/option_reader.h"
#include "eval/pairs/prompts.h"

namespace ration::cli {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void read_scores(OptionReader& read, EvalOptions& options) {
  for (const std::string& word : words_of(read.arguments.text("score").value_or("avg_pmi"))) {
    if (word == "all") {
      options.scores.assign(eval::kScores.begin(), eval::kScores.end());
      continue;
    }
    const std::optional<eval::Score> score = eval::score_named(word);
    if (!score)
      read.refuse(fmt::format("--score: \"{}\" is no score", word),
                  "sum, avg, pmi, avg_pmi, per_byte, per_byte_pmi, or all");
    else if (std::find(options.scores.begin(), options.scores.end(), *score) ==
             options.scores.end())
      options.scores.push_back(*score);
  }
}

void read_prompts(OptionReader& read, EvalOptions& options) {
  std::set<std::size_t> prompts;
  for (const std::string& word : words_of(read.arguments.text("prompts").value_or("0"))) {
    if (word.size() == 1 && word[0] >= '0' && word[0] < '0' + std::ssize(eval::kPrompts))
      prompts.insert(static_cast<std::size_t>(word[0] - '0'));
    else
      read.refuse(fmt::format("--prompts: \"{}\" is no prompt", word),
                  "0 (the document alone), 1 (The summary of \"…\" is) or 2 (Summarize: …)");
  }
  options.request.prompts.assign(prompts.begin(), prompts.end());
}

}  // namespace

Result<EvalOptions> read_eval_options(const Arguments& arguments) {
  EvalOptions options;
  OptionReader read{arguments};
  read_scores(read, options);
  read_prompts(read, options);
  options.request.prompt_tokens = read.whole("prompt-tokens", 0, 1 << 24).value_or(0);
  options.draws.draws = read.whole("draws", 100, 1'000'000).value_or(2000);
  options.draws.seed = static_cast<std::uint64_t>(read.whole("seed", 0, kLargestWhole).value_or(0));
  options.batch_tokens = read.whole("batch-tokens", 0, 1 << 24).value_or(0);
  options.threads = read.whole("threads", 0, 1024).value_or(0);
  options.skip_first = arguments.flag("skip-first");
  options.keep_tokens = arguments.flag("keep-tokens");
  if (!arguments.text("checkpoint"))
    read.refuse("no --checkpoint is given", "name a run, a checkpoint's folder or a file");
  if (!read.problems.empty())
    return combine(std::move(read.problems), "options that cannot be used");
  return options;
}

std::vector<Option> eval_options(const std::string& prompts) {
  std::vector<Option> options = checkpoint_options();
  const std::vector<Option> more = {
      {.name = "against",
       .value = "CK",
       .help =
           "Another checkpoint of the same tokenizer: the difference of the two, item by item."},
      {.name = "score",
       .value = "NAMES",
       .default_value = "avg_pmi",
       .help = "sum, avg, pmi, avg_pmi, per_byte or per_byte_pmi, several with commas, or all; "
               "avg_pmi is the benchmark's own."},
      {.name = "prompts",
       .value = "NUMBERS",
       .default_value = prompts,
       .help = "0: the document alone, 1: The summary of \"…\" is, 2: Summarize: …; several with "
               "commas give medians."},
      {.name = "prompt-tokens",
       .value = "N",
       .default_value = "0",
       .help = "The most tokens of a prompt, the document's end is cut for it; 0 takes the model's "
               "context less the longest choice."},
      {.name = "skip-first",
       .help = "Leave the first token of each choice out of its score, as the public code does for "
               "models that only decode; off, for that token is part of the answer."},
      {.name = "draws",
       .value = "N",
       .default_value = "2000",
       .help = "Bootstrap draws over documents for the intervals, 100 to 1000000."},
      {.name = "seed", .value = "N", .default_value = "0", .help = "Seed of these draws."},
      {.name = "batch-tokens",
       .value = "N",
       .default_value = "0",
       .help = "Tokens that the worker passes through the model together; 0 is its own choice."},
      {.name = "threads",
       .value = "N",
       .default_value = "0",
       .help = "Threads of the worker on a processor; 0 takes the run's setting."},
      {.name = "keep-tokens",
       .help = "Keep token ids and log probabilities of every choice, in --out and in the store; "
               "off, for they take a kilobyte a choice."},
      {.name = "out",
       .value = "DIR",
       .help = "Folder that gets scores.json and items.csv; none unless given.",
       .letter = 'o'}};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

}  // namespace ration::cli
