#include "cli/eval_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/text.h"
#include "cli/eval_ask.h"
#include "cli/eval_checkpoint.h"
#include "cli/eval_options.h"
#include "cli/eval_text.h"
#include "cli/store_option.h"
#include "eval/pairs/document.h"
#include "scheduler/local_executor.h"

namespace ration::cli {
namespace {

using eval::PairScores;
using eval::PairTask;
using eval::Request;

constexpr const char* kTokens = "tokens.jsonl";

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
                     const EvalOptions& options,
                     const Console& console) {
  Result<PairScores> scores = ask_choices(trainer,
                                          {.weights = checkpoint.weights,
                                           .like = checkpoint.like,
                                           .batch_tokens = options.batch_tokens,
                                           .threads = options.threads,
                                           .console = &console},
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

struct Judges {
  AskedCheckpoint checkpoint;
  AskedTokenizer tokenizer;              // of both
  std::optional<AskedCheckpoint> other;  // --against
};

Result<Judges> find_judges(const Arguments& arguments) {
  Result<AskedCheckpoint> found = find_checkpoint(arguments, *arguments.text("checkpoint"));
  if (!found) return std::move(found).error();
  Result<AskedTokenizer> tokenizer = find_tokenizer(arguments, *found);
  if (!tokenizer) return std::move(tokenizer).error();
  Result<std::optional<AskedCheckpoint>> other = find_other(arguments, *tokenizer);
  if (!other) return std::move(other).error();
  return Judges{*std::move(found), *std::move(tokenizer), *std::move(other)};
}

// What fits the context of both, which becomes that of `options`.
Result<Request> request_of(const PairTask& task, const Judges& judges, EvalOptions& options) {
  options.request.context = judges.checkpoint.run.spec.context;
  if (judges.other)
    options.request.context = std::min(options.request.context, judges.other->run.spec.context);
  const data::Tokenizer& words = *judges.tokenizer.tokenizer;
  const eval::Codec codec{.encode = [&](std::string_view text) { return words.encode(text); },
                          .end_token = words.end_token(),
                          .vocab = judges.tokenizer.manifest.vocab};
  Result<Request> request = eval::make_request(task, codec, options.request);
  if (!request || !options.skip_first) return request;
  if (Result<void> fit = eval::check_skip_first(task, *request); !fit)
    return std::move(fit).error();
  return request;
}

// Told before the worker is asked, which may take hours: the folder, or the nearest one above it
// that exists, must be one to write to.
Result<void> check_folder(const Path& folder) {
  Path there = std::filesystem::absolute(folder).lexically_normal();
  std::error_code ignored;
  while (!std::filesystem::exists(there, ignored) && there.has_relative_path())
    there = there.parent_path();
  if (std::filesystem::is_directory(there, ignored) && access(there.c_str(), W_OK | X_OK) == 0)
    return {};
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format(
          "--out {}: {} is no folder that can be written to", folder.string(), there.string()),
      .hint = "name another folder; it is made where it is missing"};
}

// scores.json, items.csv and, where asked for, tokens.jsonl: one of an earlier evaluation goes.
Result<void> write_folder(const Path& folder,
                          const Json& document,
                          const std::string& items,
                          const std::string& tokens) {
  Files& files = real_files();
  if (Result<void> made = files.make_folders(folder); !made) return made;
  if (!tokens.empty())
    if (Result<void> done = files.write_whole(folder / kTokens, tokens); !done) return done;
  if (tokens.empty() && files.exists(folder / kTokens))
    if (Result<void> done = files.remove_all(folder / kTokens); !done) return done;
  if (Result<void> done = files.write_whole(folder / "items.csv", items); !done) return done;
  const std::string text = document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  return files.write_whole(folder / "scores.json", text);
}

// Where there is a store; an evaluation needs none.
Result<void> record(const Arguments& arguments, const Json& document, const std::string& choices) {
  const Path folder = *arguments.text("store");
  if (!real_files().exists(store::Layout{folder}.database())) return {};
  guard_store(arguments);
  Result<store::EvalWriter> writer = store::EvalWriter::open(real_files(), system_clock(), folder);
  if (!writer) return std::move(writer).error();
  Result<std::string> digest = writer->record({.document = document, .tokens = choices});
  if (!digest) return std::move(digest).error();
  return {};
}

// In the store and in --out.
Result<void> keep(const Arguments& arguments,
                  const eval::Evaluation& evaluation,
                  const Json& document,
                  const Judged& judged,
                  const EvalOptions& options) {
  const PairTask& task = evaluation.task;
  const Request& request = evaluation.request;
  const std::string tokens = options.keep_tokens
                                 ? eval::tokens_text(task, request, options.request, judged.scores)
                                 : std::string();
  const std::string choices =
      options.keep_tokens
          ? tokens
          : eval::sums_text(task, request, options.request, judged.scores.checkpoint, judged.sums);
  if (Result<void> done = record(arguments, document, choices); !done) return done;
  const std::optional<std::string> out = arguments.text("out");
  if (!out) return {};
  const std::string items = items_csv(task, request, options.request, judged.sums);
  return write_folder(*out, document, items, tokens);
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

Result<int> evaluate_task(const Arguments& arguments,
                          const std::string& name,
                          const PairTask& task) {
  Result<EvalOptions> options = read_eval_options(arguments);
  if (!options) return std::move(options).error();
  if (const std::optional<std::string> out = arguments.text("out"))
    if (Result<void> fit = check_folder(*out); !fit) return std::move(fit).error();
  Result<Judges> judges = find_judges(arguments);
  if (!judges) return std::move(judges).error();
  Result<Path> trainer = scheduler::find_trainer(arguments.text("trainer").value_or(""));
  if (!trainer) return std::move(trainer).error();
  Result<Request> request = request_of(task, *judges, *options);
  if (!request) return std::move(request).error();
  note_request(arguments.console, task, *request);

  const Console& console = arguments.console;
  Result<Judged> judged =
      judge(*trainer, std::move(judges->checkpoint), task, *request, *options, console);
  if (!judged) return std::move(judged).error();
  eval::Evaluation evaluation{.task = task,
                              .request = *request,
                              .settings = {.task = name,
                                           .request = options->request,
                                           .tokenizer = judges->tokenizer.manifest.tokenizer_sha256,
                                           .draws = options->draws},
                              .judge = judged->judge(),
                              .tokens_computed = judged->scores.tokens_computed,
                              .tokens_alone = judged->scores.tokens_alone,
                              .summaries = judged->summaries};
  if (judges->other) {
    Result<Judged> second =
        judge(*trainer, *std::move(judges->other), task, *request, *options, console);
    if (!second) return std::move(second).error();
    evaluation.against = second->judge();
    for (std::size_t s = 0; s < judged->summaries.size(); ++s)
      evaluation.comparisons.push_back(
          eval::compare(task, second->summaries[s], judged->summaries[s], options->draws));
  }
  const Json document = eval::document_of(evaluation);
  if (Result<void> done = keep(arguments, evaluation, document, *judged, *options); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json(document);
  else
    arguments.console.print(eval_text(evaluation));
  return 0;
}

}  // namespace ration::cli
