#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/data_progress.h"
#include "cli/terminal_text.h"
#include "data/filter/preparation.h"
#include "data/prepare.h"
#include "data/shards.h"

namespace ration::cli {
namespace {

using data::Manifest;

Json split_json(const data::ShardInfo& split, std::int64_t text_bytes) {
  return {{"tokens", split.tokens}, {"documents", split.documents}, {"text_bytes", text_bytes}};
}

double held_out_share(const Manifest& manifest) {
  return static_cast<double>(manifest.val.tokens) /
         static_cast<double>(manifest.val.tokens + manifest.train.tokens);
}

double bytes_per_token(const Manifest& manifest) {
  return static_cast<double>(manifest.train_text_bytes + manifest.val_text_bytes) /
         static_cast<double>(manifest.train.tokens + manifest.val.tokens);
}

// The document of both commands, schema ration.data/1.
Json data_json(const Manifest& manifest, const Path& folder) {
  return {{"schema", "ration.data/1"},
          {"folder", folder.string()},
          {"digest", manifest.digest},
          {"tokenizer", manifest.tokenizer},
          {"vocab", manifest.vocab},
          {"end_token", manifest.end_token},
          {"train", split_json(manifest.train, manifest.train_text_bytes)},
          {"val", split_json(manifest.val, manifest.val_text_bytes)},
          {"held_out_share", held_out_share(manifest)},
          {"bytes_per_token", bytes_per_token(manifest)},
          {"duplicates_removed", manifest.duplicates_removed},
          {"provenance", manifest.provenance}};
}

Json skipped_json(const std::map<std::string, data::SkippedFiles>& skipped) {
  Json list = Json::array();
  for (const auto& [words, files] : skipped)
    list.push_back({{"what", words}, {"count", files.count}, {"examples", files.examples}});
  return list;
}

Result<std::map<std::string, std::string>> notes_of(const Arguments& arguments) {
  std::map<std::string, std::string> notes;
  for (const std::string& note : arguments.all("note")) {
    const std::size_t equals = note.find('=');
    if (equals == 0 || equals == std::string::npos)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("--note takes KEY=VALUE, not \"{}\"", note),
                   .hint = "for example --note licence=CC0-1.0"};
    notes[note.substr(0, equals)] = note.substr(equals + 1);
  }
  return notes;
}

Result<std::int64_t> whole(const Arguments& arguments,
                           std::string_view name,
                           std::string_view unit) {
  Result<std::optional<double>> value = arguments.quantity(name, unit);
  if (!value) return std::move(value).error();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const double number = value->value_or(0);
  if (number == static_cast<double>(static_cast<std::int64_t>(number)) && number < kExact)
    return static_cast<std::int64_t>(number);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--{} takes a whole number, not {}", name, number),
               .hint = "leave the fraction out"};
}

Result<data::PrepareOptions> prepare_options(const Arguments& arguments) {
  data::PrepareOptions options;
  options.tokenizer = arguments.text("tokenizer").value_or(options.tokenizer);
  options.replace = arguments.flag("replace");
  std::vector<Error> problems;
  const auto take = [&](std::int64_t& member, std::string_view name, std::string_view unit) {
    Result<std::int64_t> value = whole(arguments, name, unit);
    if (value)
      member = *value;
    else
      problems.push_back(std::move(value).error());
  };
  take(options.held_out_one_in, "held-out", "");
  take(options.held_out_bytes, "held-out-bytes", "B");
  take(options.min_document_bytes, "min-bytes", "B");
  take(options.sample_bytes, "sample-bytes", "B");
  take(options.memory_bytes, "memory", "B");
  take(options.threads, "threads", "");
  options.text_field = arguments.text("text-field").value_or(options.text_field);
  options.id_field = arguments.text("id-field").value_or("");
  options.split_documents = arguments.text("split-documents").value_or("");
  Result<std::map<std::string, std::string>> notes = notes_of(arguments);
  if (notes)
    options.notes = *std::move(notes);
  else
    problems.push_back(std::move(notes).error());
  for (Error& problem : data::check(options)) problems.push_back(std::move(problem));
  if (!problems.empty()) return combine(std::move(problems), "several options cannot be used");
  return options;
}

// Adds the filters that the command line names.
Result<void> add_filters(const Arguments& arguments, data::PrepareOptions& options) {
  data::filter::FilterPlan plan;
  std::vector<Error> problems;
  for (const std::string& text : arguments.all("filter")) {
    Result<data::filter::Step> step = data::filter::parse_step(text);
    if (step)
      plan.steps.push_back(*std::move(step));
    else
      problems.push_back(std::move(step).error());
  }
  for (const std::string& path : arguments.all("against")) plan.against.emplace_back(path);
  if (const auto path = arguments.text("reference")) plan.reference = *path;
  plan.reference_tokenizer =
      arguments.text("reference-tokenizer").value_or(plan.reference_tokenizer);
  if (const auto path = arguments.text("scores")) plan.scores = *path;
  plan.count_overlap = !arguments.flag("no-overlap-check");
  plan.resources.threads = static_cast<int>(options.threads);
  plan.resources.memory_bytes = static_cast<std::uint64_t>(options.memory_bytes);
  plan.progress = progress_to(arguments.console);
  for (Error& problem : check(plan)) problems.push_back(std::move(problem));
  if (!problems.empty()) return combine(std::move(problems), "the filters cannot be used");
  options.filter = document_filter(plan);
  options.more_held_out = !plan.against.empty();
  options.overlap = overlap_check(std::move(plan));
  return {};
}

Result<int> run_prepare(const Arguments& arguments) {
  const std::optional<std::string> out = arguments.text("out");
  if (!out || out->empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "ration data prepare needs an output folder",
                 .hint = "add -o DIR"};
  Result<data::PrepareOptions> options = prepare_options(arguments);
  if (!options) return std::move(options).error();
  if (Result<void> added = add_filters(arguments, *options); !added)
    return std::move(added).error();
  const Console& console = arguments.console;
  Result<data::Preparation> made = data::prepare(
      real_files(), system_clock(), arguments.positional[0], *out, *options, progress_to(console));
  if (!made) return std::move(made).error();
  if (console.json) {
    Json document = data_json(made->manifest, *out);
    document["unchanged"] = made->unchanged;
    document["skipped"] = skipped_json(made->skipped);
    document["documents_taken_over"] = made->taken_over;
    document["seconds"] = made->seconds;
    console.print_json(document);
  } else {
    console.print(console.quiet ? made->manifest.digest + "\n"
                                : without_control_bytes(made->full()));
  }
  console.note(fmt::format("next: ration data info {}", *out));
  return 0;
}

Result<void> verify(const Manifest& manifest, const Path& folder) {
  std::vector<Error> problems;
  for (const data::Split split : {data::Split::train, data::Split::val}) {
    Result<data::TokenPool> pool = data::TokenPool::open(real_files(), folder, manifest, split);
    Result<void> checked = pool ? pool->verify() : Result<void>(std::move(pool).error());
    if (!checked) problems.push_back(std::move(checked).error());
  }
  if (Result<void> checked = data::verify_tokenizer(real_files(), folder, manifest); !checked)
    problems.push_back(std::move(checked).error());
  if (problems.empty()) return {};
  return combine(std::move(problems), fmt::format("{} is damaged", folder.string()));
}

std::string info_text(const Manifest& manifest, std::int64_t usable, std::int64_t context) {
  const auto split_line = [](const char* name, const data::ShardInfo& split, std::int64_t bytes) {
    return fmt::format("{:<16}{} tokens in {} documents, {} of text\n",
                       name,
                       split.tokens,
                       split.documents,
                       format_quantity(static_cast<double>(bytes), "B"));
  };
  std::string text = split_line("training", manifest.train, manifest.train_text_bytes);
  text += split_line("held out", manifest.val, manifest.val_text_bytes);
  text += fmt::format(
      "{:<16}{} tokens (whole windows of {} tokens)\n", "unique, at most", usable, context);
  text += fmt::format(
      "{:<16}{:.2f} % of the tokens; {} training documents equal to a held-out one removed\n",
      "held-out share",
      100 * held_out_share(manifest),
      manifest.duplicates_removed);
  text += fmt::format("{:<16}{}, vocabulary {}, {:.2f} bytes a token\n",
                      "tokenizer",
                      manifest.tokenizer,
                      manifest.vocab,
                      bytes_per_token(manifest));
  text += data::filters_text(manifest.provenance);
  return text + fmt::format("{:<16}{}\n", "digest", manifest.digest);
}

Result<int> run_info(const Arguments& arguments) {
  const Path folder = arguments.positional[0];
  Result<std::int64_t> context = whole(arguments, "context", "tok");
  if (!context) return std::move(context).error();
  if (*context < 1)
    return Error{.kind = ErrorKind::usage,
                 .what = "--context must be at least 1 token",
                 .hint = "give the context of the models to train, such as 64"};
  Result<Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) return std::move(manifest).error();
  const bool verified = arguments.flag("verify");
  if (verified)
    if (Result<void> done = verify(*manifest, folder); !done) return std::move(done).error();
  const std::int64_t usable = data::usable_tokens(manifest->train.tokens, *context);
  const Console& console = arguments.console;
  if (console.json) {
    Json document = data_json(*manifest, folder);
    document["context"] = *context;
    document["unique_tokens"] = usable;
    document["verified"] = verified;
    console.print_json(document);
  } else if (console.quiet) {
    console.print(manifest->digest + "\n");
  } else {
    console.print(info_text(*manifest, usable, *context));
  }
  if (verified) console.note("every file agrees with its digest");
  return 0;
}

}  // namespace

Command data_prepare_command() {
  return {
      .name = "data prepare",
      .summary = "Turn a folder of text into tokens to train on and tokens held out",
      .arguments = "TEXT",
      .min_arguments = 1,
      .max_arguments = 1,
      .options =
          {{.name = "out",
            .value = "DIR",
            .help = "Folder to create; it appears whole or not at all. Required.",
            .letter = 'o'},
           {.name = "tokenizer",
            .value = "KIND",
            .default_value = "bytes",
            .help =
                "bytes, bpe:V or unigram:V (SentencePiece with V pieces, 300 … 1000000, learned "
                "from the training documents), or model:FILE. Bytes need no learning."},
           {.name = "held-out",
            .value = "N",
            .default_value = "50",
            .help = "Hold out one document in N (2 … 1000000), chosen by a hash of its path, so "
                    "that new text moves no old document."},
           {.name = "held-out-bytes",
            .value = "BYTES",
            .default_value = "0",
            .help = "Hold out at least this much text; a published fit wants a million tokens."},
           {.name = "min-bytes",
            .value = "BYTES",
            .default_value = "200",
            .help = "Leave out files with less text; such files seldom hold a sentence."},
           {.name = "sample-bytes",
            .value = "BYTES",
            .default_value = "10M",
            .help = "Text to learn a vocabulary from, 10K … 1G; more hardly changes it."},
           {.name = "text-field",
            .value = "NAME",
            .default_value = "text",
            .help = "Member of each line of .jsonl and .ndjson files that holds a document."},
           {.name = "id-field",
            .value = "NAME",
            .help = "Member that names the document, a string or a whole number; without it, its "
                    "file and line are its name. The name decides whether it is held out."},
           {.name = "split-documents",
            .value = "WHERE",
            .help = "Where documents end in other files: lines, blank-lines, or the text between "
                    "two of them, such as \"<|endoftext|>\"; without it, a file is a document."},
           {.name = "filter",
            .value = "STEP",
            .help = "Leave training documents out, or text in them, in the order of the steps: "
                    "exact, near:0.8, repeats:100:first, against:100:cut, perplexity:lowest=0.5; "
                    "docs/filters.md has all their options.",
            .repeatable = true},
           {.name = "against",
            .value = "TEXT",
            .help = "More held-out text that must not be trained on: prepared data (their held-out "
                    "documents) or other text. The text's own is always looked for.",
            .repeatable = true},
           {.name = "no-overlap-check",
            .help = "Do not look for held-out text among the training documents. Without it they "
                    "are read once more, and what is found is counted."},
           {.name = "reference",
            .value = "TEXT",
            .help = "Text of the kind that is wanted, for the filter perplexity: prepared data "
                    "(their training documents) or other text."},
           {.name = "reference-tokenizer",
            .value = "KIND",
            .default_value = "bpe:4096",
            .help = "Tokens of the n-gram model, as --tokenizer has them, learned from the "
                    "reference; prepared data bring their own."},
           {.name = "scores",
            .value = "FILE",
            .help = "Scores for the filter perplexity in place of a reference: JSON lines of "
                    "document and score, as `ration data score` writes them."},
           {.name = "threads",
            .value = "N",
            .default_value = "0",
            .help = "Threads, up to 1024; 0 takes all cores. The data do not depend on it."},
           {.name = "memory",
            .value = "BYTES",
            .default_value = "1G",
            .help = "Memory for text and tokens under way, at least 16M; about 1 kB a file, "
                    "50 bytes a document and the sample come on top."},
           {.name = "note",
            .value = "KEY=VALUE",
            .help = "Keep a fact about the text in the manifest: package, version, licence.",
            .repeatable = true},
           {.name = "replace",
            .help = "Replace other data in DIR; without it they are kept and the command fails."}},
      .description =
          "TEXT is a folder or a file. Every file is a document, every line of a .jsonl file is "
          "one: UTF-8, plain or compressed (gzip, zstd, xz). Binary, tiny and unreadable texts are "
          "left out and counted. Repeating the command on the same text writes nothing; after a "
          "kill it goes on where it stopped.\n"
          "\n"
          "  ration data prepare texts -o data/texts --tokenizer bpe:4096",
      .execute = run_prepare};
}

Command data_info_command() {
  return {.name = "data info",
          .summary = "Show what a folder of prepared data holds",
          .arguments = "DIR",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {{.name = "context",
                       .value = "TOKENS",
                       .default_value = "64",
                       .help = "Context of the models to train; unique tokens are counted in whole "
                               "windows of it."},
                      {.name = "verify",
                       .help = "Read every file and compare its digest with the manifest."}},
          .execute = run_info};
}

}  // namespace ration::cli
