#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "data/output_folder.h"
#include "data/sample.h"
#include "data/scan.h"
#include "data/shard_writer.h"
#include "data/shards.h"
#include "data/tokenizer.h"

namespace ration::data {
namespace {

// Raised whenever the same text and options would give other bytes.
constexpr int kPreparation = 1;
constexpr std::size_t kChunk = std::size_t{1} << 14;  // text tokenized at a time

struct Job {
  Files& files;
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

// What the manifest will say as far as the text and the options decide it.
Manifest planned_manifest(const Corpus& corpus,
                          const TokenizerChoice& choice,
                          const PrepareOptions& options) {
  Manifest planned;
  planned.tokenizer = choice.name();
  Json skipped = Json::object();
  for (const SkippedFile& file : corpus.skipped) {
    Json& count = skipped[std::string(name_of(file.reason))];
    count = count.is_null() ? 1 : count.get<std::int64_t>() + 1;
  }
  Json used = {{"held_out_one_in", options.held_out_one_in},
               {"held_out_bytes", options.held_out_bytes},
               {"min_document_bytes", options.min_document_bytes}};
  if (choice.trained()) used["sample_bytes"] = options.sample_bytes;
  planned.provenance = {{"preparation", kPreparation},
                        {"options", std::move(used)},
                        {"skipped", std::move(skipped)},
                        {"notes", options.notes}};
  for (const Document& document : corpus.documents) {
    const SourceFile& source = document.source;
    if (source.use == "duplicate") ++planned.duplicates_removed;
    if (source.use == "train") planned.train_text_bytes += static_cast<std::int64_t>(source.bytes);
    if (source.use == "val") planned.val_text_bytes += static_cast<std::int64_t>(source.bytes);
    planned.sources.push_back(source);
  }
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
  const bool same = same_tokenizer && there->provenance == planned.provenance &&
                    there->sources == planned.sources;
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
                                                     const Manifest& planned) {
  if (job.progress) job.progress({"learning the vocabulary", 0, 0});
  SampleLines lines(job.files, job.text, planned.sources, job.options.sample_bytes);
  Result<std::string> model = train_sentencepiece(choice, [&] { return lines.next(); });
  if (lines.problem()) return *lines.problem();
  if (!model) return std::move(model).error();
  return sentencepiece_tokenizer(*std::move(model), "the learned vocabulary");
}

// Bytes of the next piece to tokenize: whole lines where lines are short enough, whole words else.
std::size_t next_chunk(std::string_view text) {
  if (text.size() <= kChunk) return text.size();
  const std::string_view front = text.substr(0, kChunk);
  if (const std::size_t line = front.rfind('\n'); line != std::string_view::npos) return line + 1;
  if (const std::size_t word = front.rfind(' '); word != std::string_view::npos && word > 0)
    return word;
  return whole_characters(text, kChunk);
}

Result<void> write_document(const Tokenizer& tokenizer, std::string_view text, ShardWriter& shard) {
  while (!text.empty()) {
    const std::size_t size = next_chunk(text);
    Result<std::vector<std::uint32_t>> ids = tokenizer.encode(text.substr(0, size));
    if (!ids) return std::move(ids).error();
    if (Result<void> done = shard.append(*ids); !done) return done;
    text.remove_prefix(size);
  }
  return shard.end_document(tokenizer.end_token());
}

// Writes both splits and fills in their part of the manifest.
Result<void> write_shards(const Job& job,
                          const Path& folder,
                          const Tokenizer& tokenizer,
                          Manifest& manifest) {
  const int token_bytes = manifest.token_bytes();
  Result<ShardWriter> train = ShardWriter::create(job.files, folder, "train", token_bytes);
  if (!train) return std::move(train).error();
  Result<ShardWriter> val = ShardWriter::create(job.files, folder, "val", token_bytes);
  if (!val) return std::move(val).error();
  const auto total =
      static_cast<std::uint64_t>(manifest.train_text_bytes + manifest.val_text_bytes);
  std::uint64_t done_bytes = 0;
  for (const SourceFile& source : manifest.sources) {
    if (source.use == "duplicate") continue;
    Result<std::string> text = read_source(job.files, job.text, source);
    if (!text) return std::move(text).error();
    if (Result<void> done = write_document(tokenizer, *text, source.use == "val" ? *val : *train);
        !done)
      return std::move(done).error().with_context("while writing " + source.path);
    done_bytes += source.bytes;
    if (job.progress) job.progress({"writing tokens", done_bytes, total});
  }
  for (const auto& [writer, info] : {std::pair(&*train, &manifest.train), {&*val, &manifest.val}}) {
    Result<ShardInfo> finished = writer->finish();
    if (!finished) return std::move(finished).error();
    *info = *std::move(finished);
  }
  return {};
}

Result<Manifest> write_data(const Job& job, const Tokenizer& tokenizer, Manifest manifest) {
  manifest.vocab = tokenizer.vocab();
  manifest.end_token = tokenizer.end_token();
  Result<OutputFolder> output = OutputFolder::claim(job.files, job.out);
  if (!output) return std::move(output).error();
  const Path& folder = output->temporary();
  if (!tokenizer.model().empty()) {
    manifest.tokenizer_sha256 = sha256_hex(tokenizer.model());
    if (auto done = job.files.write_whole(folder / "tokenizer.model", tokenizer.model()); !done)
      return std::move(done).error();
  }
  if (auto done = write_shards(job, folder, tokenizer, manifest); !done)
    return std::move(done).error();
  manifest.digest = manifest_digest(manifest);
  Result<std::string> text = manifest_text(manifest);
  if (!text) return std::move(text).error();
  if (auto done = job.files.write_whole(folder / "manifest.json", *text); !done)
    return std::move(done).error();
  if (auto done = output->publish(); !done) return std::move(done).error();
  return manifest;
}

// The tokenizer that needs no text to learn from; null for one that does.
Result<std::unique_ptr<Tokenizer>> ready_tokenizer(Files& files, const TokenizerChoice& choice) {
  if (choice.trained()) return std::unique_ptr<Tokenizer>();
  if (choice.kind == TokenizerChoice::Kind::bytes) return byte_tokenizer();
  Result<std::string> model = files.read(choice.model);
  if (!model) return std::move(model).error().with_context("while loading the tokenizer");
  return sentencepiece_tokenizer(*std::move(model), choice.model.string());
}

Result<Preparation> prepare_checked(const Job& job) {
  const Result<TokenizerChoice> choice = parse_tokenizer(job.options.tokenizer);
  if (!choice) return choice.error();
  Result<std::unique_ptr<Tokenizer>> tokenizer = ready_tokenizer(job.files, *choice);
  if (!tokenizer) return std::move(tokenizer).error();
  Result<Corpus> corpus =
      scan_text(job.files, job.text, job.options.min_document_bytes, job.progress);
  if (!corpus) return std::move(corpus).error();
  const SplitRule rule{.one_in = job.options.held_out_one_in,
                       .min_bytes = job.options.held_out_bytes};
  if (Result<void> done = split_documents(corpus->documents, rule); !done)
    return std::move(done).error();

  Manifest planned = planned_manifest(*corpus, *choice, job.options);
  if (*tokenizer != nullptr && !(*tokenizer)->model().empty())
    planned.tokenizer_sha256 = sha256_hex((*tokenizer)->model());
  Preparation result{.skipped = by_reason(corpus->skipped)};
  if (auto done = OutputFolder::recover(job.files, job.out); !done) return std::move(done).error();
  if (job.files.exists(job.out)) {
    Result<Manifest> there = matching_data(job.files, job.out, planned);
    result.unchanged = there.has_value();
    if (there) return result.manifest = *std::move(there), result;
    if (auto usable = check_replaceable(job, there.error()); !usable)
      return std::move(usable).error();
  }
  if (*tokenizer == nullptr) tokenizer = learned_tokenizer(job, *choice, planned);
  if (!tokenizer) return std::move(tokenizer).error();
  Result<Manifest> written = write_data(job, **tokenizer, std::move(planned));
  if (!written) return std::move(written).error();
  result.manifest = *std::move(written);
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
  Result<Job> job = checked_job({files, text, out, options, progress});
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
