#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/hash.h"
#include "base/text.h"
#include "data/choose.h"
#include "data/fetched.h"
#include "data/output_folder.h"
#include "data/sample.h"
#include "data/shards.h"
#include "data/write_tokens.h"

namespace ration::data {
namespace {

// Raised whenever the same text and options would give other bytes; 2 where files hold several
// documents or a filter took part.
constexpr int kPreparation = 1;
constexpr int kPreparationOfRecords = 2;
constexpr std::size_t kShownExamples = 3;

struct Job {
  Files& files;
  Clock& clock;
  Path text;
  Path out;
  const PrepareOptions& options;
  const ProgressSink& progress;
};

Error out_of_range(const std::string& name, std::int64_t value, const std::string& range) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("{} cannot be {}", name, value),
          .hint = fmt::format("give {}", range)};
}

// Both paths made comparable; an output inside the text would become text the next time.
Result<Job> checked_job(Job job) {
  std::error_code code;
  const Path text = std::filesystem::weakly_canonical(job.text, code);
  Path out = std::filesystem::weakly_canonical(job.out, code);
  if (!out.has_filename()) out = out.parent_path();
  const auto [text_end, out_at] = std::mismatch(text.begin(), text.end(), out.begin(), out.end());
  if (job.out.empty() || text_end == text.end())
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format(
            "the output folder {} lies in the text folder {}", job.out.string(), job.text.string()),
        .hint = "choose an output folder (-o) outside the text"};
  job.out = std::move(out);
  return job;
}

Workforce workforce_of(const PrepareOptions& options) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return {.threads = options.threads > 0 ? static_cast<unsigned>(options.threads) : cores,
          .memory = static_cast<std::uint64_t>(options.memory_bytes)};
}

Result<TextRules> rules_of(const PrepareOptions& options) {
  TextRules rules;
  rules.min_document_bytes = options.min_document_bytes;
  rules.fields = {.text = options.text_field, .id = options.id_field};
  if (options.split_documents.empty()) return rules;
  Result<RecordRule> split = parse_split(options.split_documents);
  if (!split) return std::move(split).error();
  rules.split = *std::move(split);
  return rules;
}

Json used_options(const PrepareOptions& options,
                  const TokenizerChoice& choice,
                  const Chosen& chosen) {
  Json used = {{"held_out_one_in", options.held_out_one_in},
               {"held_out_bytes", options.held_out_bytes},
               {"min_document_bytes", options.min_document_bytes}};
  if (choice.trained()) used["sample_bytes"] = options.sample_bytes;
  if (!chosen.of_records()) return used;
  used["text_field"] = options.text_field;
  used["id_field"] = options.id_field;
  used["split_documents"] = options.split_documents;
  return used;
}

// What the manifest will say as far as the text and the options decide it.
Result<Manifest> planned_manifest(const Job& job,
                                  const Chosen& chosen,
                                  const TokenizerChoice& choice) {
  Manifest planned;
  planned.tokenizer = choice.name();
  Json skipped = Json::object();
  for (const auto& [reason, skips] : chosen.corpus.skipped)
    skipped[std::string(name_of(reason))] = skips.count;
  planned.provenance = {{"preparation", chosen.of_records() ? kPreparationOfRecords : kPreparation},
                        {"options", used_options(job.options, choice, chosen)},
                        {"skipped", std::move(skipped)},
                        {"notes", job.options.notes}};
  if (!chosen.kept.record.empty()) planned.provenance["filters"] = chosen.kept.record;
  Result<Json> corpora = read_corpora(job.files, chosen.corpus);
  if (!corpora) return std::move(corpora).error();
  if (!corpora->empty()) planned.provenance["corpora"] = *std::move(corpora);
  planned.sources = chosen.corpus.sources;
  for (std::size_t i = 0; i < chosen.corpus.documents.size(); ++i) {
    const Document& document = chosen.corpus.documents[i];
    const auto bytes = static_cast<std::int64_t>(chosen.kept_bytes(i));
    if (document.use == Use::duplicate) ++planned.duplicates_removed;
    if (document.use == Use::train) planned.train_text_bytes += bytes;
    if (document.use == Use::val) planned.val_text_bytes += bytes;
    SourceFile& source = planned.sources[document.source];
    if (chosen.corpus.holds_records(document))
      ++source.documents[std::string(name_of(document.use))];
    else
      source.use = name_of(document.use);
  }
  if (chosen.of_records()) planned.documents_sha256 = sha256_hex(documents_bytes(origins(chosen)));
  return planned;
}

// The finished data in `folder`, if it is exactly what was planned; otherwise why it is not.
Result<Manifest> matching_data(Files& files, const Path& folder, const Manifest& planned) {
  const Error other{
      .kind = ErrorKind::usage,
      .what = fmt::format("{} holds other data: its text or options differ", folder.string()),
      .hint = "choose another folder, or replace that data with --replace"};
  Result<Manifest> there = read_manifest(files, folder);
  if (!there) return there;
  for (const Split split : {Split::train, Split::val})
    if (Result<TokenPool> pool = TokenPool::open(files, folder, *there, split); !pool)
      return std::move(pool).error();
  if (Result<void> intact = verify_tokenizer(files, folder, *there); !intact)
    return std::move(intact).error();
  const bool same_tokenizer =
      there->tokenizer == planned.tokenizer &&
      (planned.tokenizer_sha256.empty() || planned.tokenizer_sha256 == there->tokenizer_sha256);
  // What the overlap check found changes no data.
  Json provenance = there->provenance;
  provenance.erase("overlap");
  const bool same = same_tokenizer && provenance == planned.provenance &&
                    there->sources == planned.sources &&
                    there->documents_sha256 == planned.documents_sha256;
  return same ? there : Result<Manifest>(other);
}

// Nothing but prepared data may be replaced.
Result<void> check_replaceable(const Job& job, const Error& difference) {
  const Result<std::vector<std::string>> names = job.files.list(job.out);
  if (!names) return names.error();
  if (names->empty()) return {};
  if (!job.files.exists(job.out / "manifest.json"))
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} exists and holds something else than prepared data",
                                     job.out.string()),
                 .hint = "choose a folder that does not exist yet"};
  return job.options.replace ? Result<void>() : difference;
}

Result<std::unique_ptr<Tokenizer>> learned_tokenizer(const Job& job,
                                                     const TokenizerChoice& choice,
                                                     const TextReader& reader) {
  if (job.progress) job.progress({"learning the vocabulary", 0, 0});
  Result<SampleLines> lines = SampleLines::read(reader, job.options.sample_bytes);
  if (!lines) return std::move(lines).error();
  Result<std::string> model = train_sentencepiece(choice, [&] { return lines->next(); });
  if (!model) return std::move(model).error();
  return sentencepiece_tokenizer(*std::move(model), "the learned vocabulary");
}

// Names the work: the text, the options, and the tokenizer as far as they are known beforehand.
Result<std::string> journal_key(const Manifest& planned, const Chosen& chosen) {
  Result<std::string> text = manifest_text(planned);
  if (!text) return std::move(text).error();
  Json cuts = Json::array();
  for (const auto& [document, spans] : chosen.kept.cuts)
    for (const ByteSpan& span : spans) cuts.push_back({document, span.begin, span.end});
  return sha256_hex(*text + cuts.dump());
}

// The model that a killed preparation learned; null when there is none.
Result<std::unique_ptr<Tokenizer>> tokenizer_left(Files& files,
                                                  const Path& folder,
                                                  const std::string& digest) {
  const Path path = folder / "tokenizer.model";
  if (digest.empty() || !files.exists(path)) return std::unique_ptr<Tokenizer>();
  Result<std::string> model = files.read(path);
  if (!model || sha256_hex(*model) != digest) return std::unique_ptr<Tokenizer>();
  return sentencepiece_tokenizer(*std::move(model), path.string());
}

// Writes the folder, going on with what a killed preparation of the same data left.
Result<Preparation> write_data(const Job& job,
                               const TokenizerChoice& choice,
                               std::unique_ptr<Tokenizer> tokenizer,
                               const TextReader& reader,
                               const Chosen& chosen,
                               OutputFolder& output,
                               Manifest manifest) {
  const Result<std::string> key = journal_key(manifest, chosen);
  if (!key) return key.error();
  const Path& folder = output.temporary();
  std::optional<JournalContents> left = Journal::read(job.files, folder, *key);
  if (left && choice.trained()) {
    Result<std::unique_ptr<Tokenizer>> model =
        tokenizer_left(job.files, folder, left->tokenizer_sha256);
    if (model && *model != nullptr)
      tokenizer = *std::move(model);
    else
      left.reset();
  }
  if (!left)
    if (auto done = output.clear(); !done) return std::move(done).error();
  if (tokenizer == nullptr) {
    Result<std::unique_ptr<Tokenizer>> learned = learned_tokenizer(job, choice, reader);
    if (!learned) return std::move(learned).error();
    tokenizer = *std::move(learned);
  }
  manifest.vocab = tokenizer->vocab();
  manifest.end_token = tokenizer->end_token();
  if (!tokenizer->model().empty()) {
    manifest.tokenizer_sha256 = sha256_hex(tokenizer->model());
    if (!left)
      if (auto done = job.files.write_whole(folder / "tokenizer.model", tokenizer->model()); !done)
        return std::move(done).error();
  }
  if (job.options.overlap) {
    Result<Json> overlap = job.options.overlap(reader, chosen.kept, folder);
    if (!overlap) return std::move(overlap).error();
    manifest.provenance["overlap"] = *std::move(overlap);
  }
  Result<Journal> journal =
      left ? Journal::go_on(job.files, folder)
           : Journal::create(job.files, folder, *key, manifest.tokenizer_sha256);
  if (!journal) return std::move(journal).error();

  TokenJob work{.reader = reader,
                .clock = job.clock,
                .tokenizer = *tokenizer,
                .token_bytes = manifest.token_bytes(),
                .folder = folder,
                .cuts = chosen.kept.cuts,
                .written = left ? left->written : std::nullopt,
                .checkpoint_seconds = job.options.checkpoint_seconds,
                .progress = job.progress};
  work.reader.cost_per_byte = 2 + manifest.token_bytes();
  Result<WrittenShards> shards = write_tokens(work, *journal);
  if (!shards) return std::move(shards).error();
  manifest.train = std::move(shards->train);
  manifest.val = std::move(shards->val);
  manifest.digest = manifest_digest(manifest);

  std::vector<std::pair<const char*, std::string>> whole = {
      {kDroppedFile, dropped_lines(dropped_sample(reader, chosen))}};
  if (chosen.of_records()) whole.emplace_back(kDocumentsFile, documents_bytes(origins(chosen)));
  Result<std::string> text = manifest_text(manifest);
  if (!text) return std::move(text).error();
  whole.emplace_back("manifest.json", *std::move(text));
  for (const auto& [name, bytes] : whole)
    if (auto done = job.files.write_whole(folder / name, bytes); !done)
      return std::move(done).error();
  if (auto done = Journal::remove(job.files, folder); !done) return std::move(done).error();
  if (auto done = output.publish(); !done) return std::move(done).error();
  Preparation result;
  result.manifest = std::move(manifest);
  result.taken_over = shards->taken_over;
  return result;
}

// The tokenizer that needs no text to learn from; null for one that does.
Result<std::unique_ptr<Tokenizer>> ready_tokenizer(Files& files, const TokenizerChoice& choice) {
  if (choice.trained()) return std::unique_ptr<Tokenizer>();
  if (choice.kind == TokenizerChoice::Kind::bytes) return byte_tokenizer();
  Result<std::string> model = files.read(choice.model);
  if (!model) return std::move(model).error().with_context("while loading the tokenizer");
  return sentencepiece_tokenizer(*std::move(model), choice.model.string());
}

// Data that are there already, compared with the held-out text that is asked for now.
Result<void> renew_overlap(const Job& job,
                           const TextReader& reader,
                           const Chosen& chosen,
                           const OutputFolder& output,
                           Manifest& there) {
  const bool known = there.provenance.contains("overlap");
  if (!job.options.overlap || (known && !job.options.more_held_out)) return {};
  Result<Json> overlap = job.options.overlap(reader, chosen.kept, output.temporary());
  if (!overlap) return std::move(overlap).error();
  if (known && there.provenance["overlap"] == *overlap) return {};
  there.provenance["overlap"] = *std::move(overlap);
  Result<std::string> text = manifest_text(there);
  if (!text) return std::move(text).error();
  return job.files.write_whole(job.out / "manifest.json", *text);
}

std::map<std::string, SkippedFiles> by_reason(const Corpus& corpus) {
  std::map<std::string, SkippedFiles> reasons;
  for (const auto& [reason, skips] : corpus.skipped) {
    SkippedFiles& entry = reasons[std::string(words_of(reason))];
    entry.count = skips.count;
    for (const Skips::Example& example : skips.examples)
      if (entry.examples.size() < kShownExamples) entry.examples.push_back(example.place);
  }
  return reasons;
}

Result<Preparation> prepare_checked(const Job& job) {
  const Result<TokenizerChoice> choice = parse_tokenizer(job.options.tokenizer);
  if (!choice) return choice.error();
  const Result<TextRules> rules = rules_of(job.options);
  if (!rules) return rules.error();
  Result<std::unique_ptr<Tokenizer>> tokenizer = ready_tokenizer(job.files, *choice);
  if (!tokenizer) return std::move(tokenizer).error();
  const Workforce workforce = workforce_of(job.options);
  // From here on no other process writes there, so that what is seen of the folder stays true.
  Result<OutputFolder> output = OutputFolder::claim(job.files, job.out);
  if (!output) return std::move(output).error();
  Result<Chosen> chosen = choose_documents(
      job.files,
      job.text,
      *rules,
      workforce,
      {.one_in = job.options.held_out_one_in, .min_bytes = job.options.held_out_bytes},
      job.options.filter,
      output->temporary(),
      job.progress);
  if (!chosen) return std::move(chosen).error();
  const TextReader reader{job.files, chosen->corpus, *rules, workforce};

  Result<Manifest> planned = planned_manifest(job, *chosen, *choice);
  if (!planned) return std::move(planned).error();
  if (*tokenizer != nullptr && !(*tokenizer)->model().empty())
    planned->tokenizer_sha256 = sha256_hex((*tokenizer)->model());
  Preparation result;
  if (auto done = OutputFolder::recover(job.files, job.out); !done) return std::move(done).error();
  if (job.files.exists(job.out)) {
    Result<Manifest> there = matching_data(job.files, job.out, *planned);
    result.unchanged = there.has_value();
    if (there) {
      if (auto done = renew_overlap(job, reader, *chosen, *output, *there); !done)
        return std::move(done).error();
      result.manifest = *std::move(there);
    } else if (auto usable = check_replaceable(job, there.error()); !usable) {
      return std::move(usable).error();
    }
  }
  if (!result.unchanged) {
    Result<Preparation> written = write_data(
        job, *choice, *std::move(tokenizer), reader, *chosen, *output, *std::move(planned));
    if (!written) return std::move(written).error();
    result = *std::move(written);
  }
  result.skipped = by_reason(chosen->corpus);
  return result;
}

}  // namespace

std::vector<Error> check(const PrepareOptions& options) {
  constexpr std::int64_t kMostOneIn = 1'000'000;
  constexpr std::int64_t kMostSample = 1'000'000'000;
  std::vector<Error> problems;
  if (Result<TokenizerChoice> choice = parse_tokenizer(options.tokenizer); !choice)
    problems.push_back(std::move(choice).error());
  if (options.held_out_one_in < 2 || options.held_out_one_in > kMostOneIn)
    problems.push_back(out_of_range(
        "one document held out in", options.held_out_one_in, "a whole number from 2 to 1000000"));
  if (options.held_out_bytes < 0)
    problems.push_back(out_of_range("held-out bytes", options.held_out_bytes, "0 or more"));
  if (options.min_document_bytes < 1)
    problems.push_back(
        out_of_range("the least bytes of a document", options.min_document_bytes, "1 or more"));
  if (options.sample_bytes < 10'000 || options.sample_bytes > kMostSample)
    problems.push_back(out_of_range("the sample's bytes", options.sample_bytes, "10 kB to 1 GB"));
  if (options.text_field.empty())
    problems.push_back({.kind = ErrorKind::usage,
                        .what = "the member that holds the text needs a name",
                        .hint = "give it with --text-field, such as text"});
  if (!options.split_documents.empty())
    if (Result<RecordRule> rule = parse_split(options.split_documents); !rule)
      problems.push_back(std::move(rule).error());
  if (options.threads < 0 || options.threads > 1024)
    problems.push_back(
        out_of_range("the threads", options.threads, "1 to 1024, or 0 for all cores"));
  if (options.memory_bytes < 16'000'000)
    problems.push_back(out_of_range("the memory's bytes", options.memory_bytes, "16 MB or more"));
  return problems;
}

std::string Preparation::one_line() const {
  return fmt::format("{} training tokens, {} held out, vocabulary {}{}",
                     format_quantity(static_cast<double>(manifest.train.tokens)),
                     format_quantity(static_cast<double>(manifest.val.tokens)),
                     manifest.vocab,
                     unchanged ? " (unchanged)" : "");
}

std::string Preparation::full() const {
  std::string text = one_line() + "\n";
  text += fmt::format(
      "documents: {} to train on, {} held out, {} left out as equal to a held-out one\n",
      manifest.train.documents,
      manifest.val.documents,
      manifest.duplicates_removed);
  if (taken_over > 0)
    text += fmt::format("{} documents taken over from a preparation that was killed\n", taken_over);
  for (const auto& [words, files] : skipped) {
    std::string examples;
    for (const std::string& path : files.examples)
      examples += (examples.empty() ? "" : ", ") + path;
    text +=
        fmt::format("left out: {} {} ({}{})\n",
                    files.count,
                    words,
                    examples,
                    files.count > static_cast<std::int64_t>(files.examples.size()) ? ", …" : "");
  }
  text += filters_text(manifest.provenance);
  return text + fmt::format("digest: {}\ntime: {}\n", manifest.digest, format_duration(seconds));
}

Result<Preparation> prepare(Files& files,
                            Clock& clock,
                            const Path& text,
                            const Path& out,
                            const PrepareOptions& options,
                            const ProgressSink& progress) {
  const double start = clock.monotonic_seconds();
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the preparation's options cannot be used");
  Result<Job> job = checked_job({files, clock, text, out, options, progress});
  if (!job) return std::move(job).error();
  Result<Preparation> prepared = prepare_checked(*job);
  if (prepared) prepared->seconds = clock.monotonic_seconds() - start;
  return prepared;
}

Result<void> verify_tokenizer(Files& files, const Path& folder, const Manifest& manifest) {
  if (manifest.tokenizer_sha256.empty()) return {};
  const Path path = folder / "tokenizer.model";
  Result<std::string> model = files.read(path);
  if (!model) return std::move(model).error().with_context("while reading prepared data");
  if (sha256_hex(*model) == manifest.tokenizer_sha256) return {};
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format("damaged data: {} is not the model of its manifest", path.string()),
      .hint = "prepare the data again with `ration data prepare … --replace`"};
}

}  // namespace ration::data
