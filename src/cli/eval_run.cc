#include "cli/eval_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/part_file.h"
#include "base/text.h"
#include "cli/eval_ask.h"
#include "cli/eval_checkpoint.h"
#include "cli/eval_text.h"
#include "cli/option_reader.h"
#include "cli/store_option.h"
#include "eval/pairs/document.h"
#include "eval/pairs/prompts.h"
#include "scheduler/local_executor.h"

namespace ration::cli {
namespace {

using eval::PairScores;
using eval::PairTask;
using eval::Request;

struct EvalOptions {
  std::vector<eval::Score> scores;
  eval::RequestOptions request;
  eval::ClusterDraws draws;
  std::int64_t batch_tokens = 0;  // 0 = the trainer's own
  std::int64_t threads = 1;
  bool skip_first = false;
  bool keep_tokens = false;
};

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

Result<EvalOptions> options_of(const Arguments& arguments) {
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

struct Judged {
  AskedCheckpoint checkpoint;
  PairScores scores;
  eval::ItemSums sums;
  std::vector<eval::ScoreSummary> summaries;

  eval::Judge judge() const {
    return {.name = checkpoint.name,
            .sha256 = scores.checkpoint,
            .run = checkpoint.run_id,
            .step = checkpoint.step};
  }
};

Result<Judged> judge(const Path& trainer,
                     AskedCheckpoint checkpoint,
                     const PairTask& task,
                     const Request& request,
                     const EvalOptions& options) {
  Result<PairScores> scores = ask_choices(trainer,
                                          {.weights = checkpoint.weights,
                                           .like = checkpoint.like,
                                           .batch_tokens = options.batch_tokens,
                                           .threads = options.threads},
                                          request);
  if (!scores) return std::move(scores).error();
  Result<eval::ItemSums> sums = eval::item_sums(task, request, *scores);
  if (!sums) return std::move(sums).error();
  Judged judged{std::move(checkpoint), *std::move(scores), *std::move(sums), {}};
  for (const eval::Score score : options.scores)
    judged.summaries.push_back(
        eval::summarise(task, judged.sums, score, options.skip_first, options.draws));
  return judged;
}

// Both models must read the same tokens, or differences between them would be those of tokenizers.
Result<std::optional<AskedCheckpoint>> find_other(const Arguments& arguments,
                                                  const AskedTokenizer& tokenizer) {
  const std::optional<std::string> word = arguments.text("against");
  if (!word) return std::optional<AskedCheckpoint>();
  Result<AskedCheckpoint> other = find_checkpoint(arguments, *word);
  if (!other) return std::move(other).error();
  Result<AskedTokenizer> own = find_tokenizer(arguments, *other);
  if (!own) return std::move(own).error();
  if (own->manifest.tokenizer_sha256 != tokenizer.manifest.tokenizer_sha256 ||
      own->manifest.vocab != tokenizer.manifest.vocab ||
      own->manifest.end_token != tokenizer.manifest.end_token)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} has another tokenizer than the checkpoint", *word),
                 .hint = "compare models of one tokenizer, or evaluate each alone"};
  return std::optional(*std::move(other));
}

// scores.json, items.csv and, where asked for, tokens.jsonl.
Result<void> write_folder(const Path& folder,
                          const Json& document,
                          const std::string& items,
                          const std::string& tokens) {
  Files& files = real_files();
  if (Result<void> made = files.make_folders(folder); !made) return made;
  if (!tokens.empty())
    if (Result<void> done = files.write_whole(folder / "tokens.jsonl", tokens); !done) return done;
  if (Result<void> done = files.write_whole(folder / "items.csv", items); !done) return done;
  const std::string text = document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  return files.write_whole(folder / "scores.json", text);
}

// Where there is a store; an evaluation needs none.
Result<void> record(const Arguments& arguments, const Json& document, const std::string& tokens) {
  const Path folder = *arguments.text("store");
  if (!real_files().exists(store::Layout{folder}.database())) return {};
  guard_store(arguments);
  Result<store::EvalWriter> writer = store::EvalWriter::open(real_files(), system_clock(), folder);
  if (!writer) return std::move(writer).error();
  Result<std::string> digest = writer->record({.document = document, .tokens = tokens});
  if (!digest) return std::move(digest).error();
  return {};
}

void note_request(const Console& console, const PairTask& task, const Request& request) {
  for (const eval::TaskFile& file : task.files)
    if (file.stripped)
      console.note(fmt::format("note: <t> tags were taken off the choices of {}", file.path));
  if (request.documents_cut > 0)
    console.note(
        fmt::format("note: {} of {} documents were cut on the right to prompts of {} "
                    "tokens, {} in all",
                    request.documents_cut,
                    task.documents,
                    request.prompt_limit,
                    format_quantity(static_cast<double>(request.bytes_cut), "B")));
}

}  // namespace

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

Result<int> evaluate_task(const Arguments& arguments,
                          const std::string& name,
                          const PairTask& task) {
  Result<EvalOptions> options = options_of(arguments);
  if (!options) return std::move(options).error();
  Result<AskedCheckpoint> found = find_checkpoint(arguments, *arguments.text("checkpoint"));
  if (!found) return std::move(found).error();
  Result<AskedTokenizer> tokenizer = find_tokenizer(arguments, *found);
  if (!tokenizer) return std::move(tokenizer).error();
  Result<std::optional<AskedCheckpoint>> other = find_other(arguments, *tokenizer);
  if (!other) return std::move(other).error();
  Result<Path> trainer = scheduler::find_trainer(arguments.text("trainer").value_or(""));
  if (!trainer) return std::move(trainer).error();

  options->request.context = found->run.spec.context;
  if (*other)
    options->request.context = std::min(options->request.context, (*other)->run.spec.context);
  const data::Tokenizer& words = *tokenizer->tokenizer;
  const eval::Codec codec{.encode = [&](std::string_view text) { return words.encode(text); },
                          .end_token = words.end_token(),
                          .vocab = tokenizer->manifest.vocab};
  Result<Request> request = eval::make_request(task, codec, options->request);
  if (!request) return std::move(request).error();
  if (options->skip_first)
    if (Result<void> fit = eval::check_skip_first(task, *request); !fit)
      return std::move(fit).error();
  note_request(arguments.console, task, *request);

  Result<Judged> judged = judge(*trainer, *std::move(found), task, *request, *options);
  if (!judged) return std::move(judged).error();
  eval::Evaluation evaluation{.task = task,
                              .request = *request,
                              .settings = {.task = name,
                                           .request = options->request,
                                           .tokenizer = tokenizer->manifest.tokenizer_sha256,
                                           .draws = options->draws},
                              .judge = judged->judge(),
                              .tokens_computed = judged->scores.tokens_computed,
                              .tokens_alone = judged->scores.tokens_alone,
                              .summaries = judged->summaries};
  if (*other) {
    Result<Judged> second = judge(*trainer, **std::move(other), task, *request, *options);
    if (!second) return std::move(second).error();
    evaluation.against = second->judge();
    for (std::size_t s = 0; s < judged->summaries.size(); ++s)
      evaluation.comparisons.push_back(
          eval::compare(task, second->summaries[s], judged->summaries[s], options->draws));
  }
  const Json document = eval::document_of(evaluation);
  const std::string tokens =
      options->keep_tokens ? eval::tokens_text(task, *request, options->request, judged->scores)
                           : std::string();
  if (const std::optional<std::string> out = arguments.text("out"))
    if (Result<void> done = write_folder(
            *out, document, items_csv(task, *request, options->request, judged->sums), tokens);
        !done)
      return std::move(done).error();
  if (Result<void> done = record(arguments, document, tokens); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(document);
  else
    arguments.console.print(eval_text(evaluation));
  return 0;
}

}  // namespace ration::cli
