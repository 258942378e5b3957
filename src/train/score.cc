#include "train/score.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/part_file.h"
#include "base/text.h"
#include "data/shards.h"
#include "run/folder.h"
#include "run/mixture.h"
#include "train/checkpoint_folder.h"
#include "train/device/pack.h"
#include "train/document_losses.h"
#include "train/products.h"
#include "train/setting_words.h"

namespace ration::train {
namespace {

using run::WorkerExit;

constexpr std::string_view kSchema = "ration.scores/1";
constexpr std::uint64_t kTokensAtOnce = 1 << 18;  // of documents whose windows are sorted together
constexpr double kSaidEvery = 5;                  // s

struct Failure {
  WorkerExit exit;
  Error error;
};

Error problem(ErrorKind kind, std::string what, std::string hint) {
  return {.kind = kind, .what = std::move(what), .hint = std::move(hint)};
}

Error data_error(std::string what, std::string hint) {
  return problem(ErrorKind::input, std::move(what), std::move(hint));
}

// Whose weights: the run's folder, and which of its checkpoints where one is named.
struct Named {
  Path run;
  std::optional<CheckpointName> checkpoint;
};

Result<Named> find_run(Files& files, const Path& given) {
  Path path = std::filesystem::absolute(given).lexically_normal();
  if (!path.has_filename() || path.filename() == "run.json") path = path.parent_path();
  if (files.exists(path / "run.json")) return Named{.run = path, .checkpoint = {}};
  const std::optional<CheckpointName> name = checkpoint_name(path);
  const Path run = path.parent_path().parent_path();
  if (name && files.exists(run / "run.json")) return Named{.run = run, .checkpoint = name};
  return problem(ErrorKind::usage,
                 fmt::format("{} is neither a run folder nor a checkpoint in one", given.string()),
                 "give a folder that holds run.json, or its attempt-<n>/checkpoint-<step>");
}

Result<run::RunFile> read_run(Files& files, const Path& folder, const ScoreOptions& options) {
  Result<run::RunFile> file = run::RunFolder(files, folder).read_spec();
  if (!file) return file;
  for (const std::string& setting : options.settings) {
    if (!is_execution_setting(name_of_setting(setting)))
      return problem(ErrorKind::usage,
                     fmt::format("{} is no setting that scoring reads", name_of_setting(setting)),
                     "device, threads, products, micro_batch_sequences and data can be set");
    if (Result<void> done = apply_setting(setting, *file); !done) return std::move(done).error();
  }
  return file;
}

// Of the run's own data or sources, or prepared with the tokenizer of these.
Result<void> check_tokenizer(Files& files,
                             const Path& folder,
                             const data::Manifest& manifest,
                             const run::RunFile& file) {
  if (manifest.digest == file.spec.data_digest) return {};
  const auto sources = run::parse_aux(file.spec.aux);
  if (sources && std::any_of(sources->begin(), sources->end(), [&](const run::AuxSource& source) {
        return source.data_digest == manifest.digest;
      }))
    return {};
  const Path own = file.execution.data;
  const std::string hint = "prepare it with the tokenizer of the run's data";
  if (manifest.vocab > file.spec.vocab)
    return data_error(fmt::format("{} has a vocabulary of {} tokens, the run's model one of {}",
                                  folder.string(),
                                  manifest.vocab,
                                  file.spec.vocab),
                      hint);
  Result<data::Manifest> of_run = data::read_manifest(files, own);
  if (!of_run || of_run->digest != file.spec.data_digest)
    return data_error(
        fmt::format("the tokenizer of {} cannot be compared with that of the run's data, which {} "
                    "does not hold",
                    folder.string(),
                    own.string()),
        "say where they lie: data=FOLDER");
  if (manifest.vocab != of_run->vocab || manifest.end_token != of_run->end_token ||
      manifest.tokenizer_sha256 != of_run->tokenizer_sha256)
    return data_error(fmt::format("{} was tokenized otherwise than the run's data in {} ({} of {} "
                                  "tokens and {} of {})",
                                  folder.string(),
                                  own.string(),
                                  manifest.tokenizer,
                                  manifest.vocab,
                                  of_run->tokenizer,
                                  of_run->vocab),
                      hint);
  return {};
}

// The checkpoint that is named, or that the run's result names, or the newest.
Result<FoundCheckpoint> load(Files& files,
                             const Named& named,
                             const run::RunFile& file,
                             Parameters& parameters,
                             const std::function<void(const std::string&)>& say) {
  const run::RunFolder folder(files, named.run);
  const CheckpointFolder checkpoints(files, folder, file.id);
  std::optional<CheckpointName> exactly = named.checkpoint;
  if (!exactly) {
    Result<std::optional<Json>> result = folder.result();
    if (!result) return std::move(result).error();
    if (*result && (*result)->is_object())
      exactly = checkpoint_name((*result)->value("checkpoint", std::string()));
  }
  if (exactly) return checkpoints.load_weights(exactly->attempt, exactly->step, parameters);
  std::vector<std::string> broken;
  Result<std::optional<FoundCheckpoint>> newest =
      checkpoints.load_newest_weights(parameters, broken);
  if (!newest) return std::move(newest).error();
  for (const std::string& why : broken) say(fmt::format("passed over {}", why));
  if (*newest) return **std::move(newest);
  return data_error(fmt::format("run {} has no checkpoint", named.run.string()),
                    "wait until it has made one (checkpoint_minutes), or carry it out first");
}

// The file that is written, in pieces, under a name of this process.
class ScoreFile {
 public:
  ScoreFile(Files& files, Path path)
      : files_(files), path_(std::move(path)), part_(part_beside(files, path_)) {}
  ~ScoreFile() {
    if (!file_) return;
    const Result<void> ignored = files_.remove_all(part_);
    (void)ignored;
  }
  ScoreFile(const ScoreFile&) = delete;
  ScoreFile& operator=(const ScoreFile&) = delete;

  Result<void> open() {
    if (Result<void> done = files_.remove_all(part_); !done) return done;
    Result<std::unique_ptr<AppendFile>> file = files_.open_append(part_);
    if (!file) return std::move(file).error();
    file_ = *std::move(file);
    return {};
  }
  Result<void> add(std::string_view lines) { return file_->append(lines); }
  Result<void> publish() {
    if (Result<void> done = file_->sync(); !done) return done;
    if (Result<void> done = files_.rename(part_, path_); !done) return done;
    file_.reset();
    return {};
  }

 private:
  Files& files_;
  Path path_, part_;
  std::unique_ptr<AppendFile> file_;  // while there is something to remove
};

// What is told of documents that are scored one after the other.
class Pace {
 public:
  Pace(Clock& clock, std::span<const std::uint64_t> starts) : clock_(clock), starts_(starts) {}

  // A line about the first `documents`, where the last one is some seconds old.
  std::optional<std::string> line(std::size_t documents) {
    const double now = clock_.monotonic_seconds();
    if (now - said_ < kSaidEvery) return std::nullopt;
    said_ = now;
    const auto done = static_cast<double>(starts_[documents]);
    const double speed = done / (now - began_);
    return fmt::format("{} of {} documents, {} at {}/s, left {}",
                       documents,
                       starts_.size() - 1,
                       format_quantity(done, "tok"),
                       format_quantity(speed, "tok"),
                       format_duration((static_cast<double>(starts_.back()) - done) / speed));
  }

 private:
  Clock& clock_;
  std::span<const std::uint64_t> starts_;
  double began_ = clock_.monotonic_seconds();
  double said_ = began_;
};

// Behind `first`, so that the documents in between hold about kTokensAtOnce tokens.
std::size_t end_of_piece(std::span<const std::uint64_t> starts, std::size_t first) {
  std::size_t last = first + 1;
  while (last + 1 < starts.size() && starts[last] - starts[first] < kTokensAtOnce) ++last;
  return last;
}

std::optional<Failure> write_scores(
    const ScoreOptions& options,
    Surroundings& world,
    const data::TokenPool& pool,
    const std::function<std::vector<double>(std::span<const std::int32_t>,
                                            std::span<const std::uint64_t>)>& losses,
    const Json& header,
    const std::function<void(const std::string&)>& say) {
  const auto unwritten = [](Result<void>& done) {
    return Failure{WorkerExit::other, std::move(done).error()};
  };
  ScoreFile file(world.files, options.output);
  if (Result<void> done = file.open(); !done) return unwritten(done);
  if (Result<void> done = file.add(header.dump() + "\n"); !done) return unwritten(done);
  const std::span<const std::uint64_t> starts = pool.document_starts();
  Pace pace(world.clock, starts);
  for (std::size_t first = 0; first + 1 < starts.size();) {
    const std::size_t last = end_of_piece(starts, first);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(starts[last] - starts[first]));
    pool.copy(static_cast<std::int64_t>(starts[first]), tokens);
    const std::vector<double> nats = losses(tokens, starts.subspan(first, last - first + 1));
    std::string lines;
    for (std::size_t i = first; i < last; ++i) {
      const double sum = nats[i - first];
      if (!std::isfinite(sum))
        return Failure{WorkerExit::data,
                       data_error(fmt::format("the checkpoint gives document {} no finite loss", i),
                                  "score an earlier checkpoint of the run")};
      lines += fmt::format(
          "{{\"document\":{},\"tokens\":{},\"nats\":{}}}\n", i, starts[i + 1] - starts[i], sum);
    }
    if (Result<void> done = file.add(lines); !done) return unwritten(done);
    first = last;
    if (const auto line = pace.line(first)) say(*line);
  }
  if (Result<void> done = file.publish(); !done) return unwritten(done);
  return std::nullopt;
}

WorkerOutcome failed(WorkerExit exit, Error error) {
  return {.exit = exit, .error = std::move(error)};
}

}  // namespace

WorkerOutcome score(const ScoreOptions& options,
                    Surroundings& world,
                    const std::function<void(const std::string&)>& say) {
  Files& files = world.files;
  Result<Named> named = find_run(files, options.checkpoint);
  if (!named) return failed(WorkerExit::usage, std::move(named).error());
  Result<run::RunFile> file = read_run(files, named->run, options);
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  const run::RunSpec& spec = file->spec;
  Result<data::Manifest> manifest = data::read_manifest(files, options.data);
  if (!manifest) return failed(WorkerExit::data, std::move(manifest).error());
  if (Result<void> same = check_tokenizer(files, options.data, *manifest, *file); !same)
    return failed(WorkerExit::data, std::move(same).error());
  Result<data::TokenPool> pool =
      data::TokenPool::open(files, options.data, *manifest, data::Split::train);
  if (!pool) return failed(WorkerExit::data, std::move(pool).error());
  if (Result<void> intact = pool->verify(); !intact)
    return failed(WorkerExit::data, std::move(intact).error());

  at::set_num_threads(static_cast<int>(file->execution.threads));
  Model model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  Result<FoundCheckpoint> found = load(files, *named, *file, model.parameters(), say);
  if (!found) return failed(WorkerExit::data, std::move(found).error());
  const auto asked = products_named(file->execution.products);
  const auto recorded = products_named(found->progress.value("products", std::string()));
  model.passes().use(asked ? *asked : recorded.value_or(usual_products()));
  AdamW no_moments(spec, model.parameters());
  const std::unique_ptr<Group> group = alone();
  Result<device::Place> place =
      device::take_place(*file, /*pack=*/nullptr, *group, model, no_moments);
  if (!place) return failed(WorkerExit::other, std::move(place).error());

  const std::string checkpoint =
      CheckpointName{.attempt = found->attempt, .step = found->step}.text();
  const std::int64_t documents = manifest->train.documents;
  say(fmt::format("{} documents, {}, by {} of run {}",
                  documents,
                  format_quantity(static_cast<double>(manifest->train.tokens), "tok"),
                  checkpoint,
                  file->id));
  const auto end_token = static_cast<std::int32_t>(manifest->end_token);
  const auto losses = [&](std::span<const std::int32_t> tokens,
                          std::span<const std::uint64_t> starts) {
    return document_losses(model.passes(), tokens, starts, end_token, spec.context);
  };
  const Json header = {{"schema", kSchema},
                       {"data", manifest->digest},
                       {"checkpoint", checkpoint},
                       {"run_id", file->id},
                       {"documents", documents},
                       {"unit", "nats_per_token"},
                       {"context", spec.context},
                       {"windows", "disjoint"},
                       {"first_input", manifest->end_token}};
  std::optional<Failure> failure = write_scores(options, world, *pool, losses, header, say);
  if (failure) return failed(failure->exit, std::move(failure->error));
  say(fmt::format("wrote {}", options.output.string()));
  return {.exit = WorkerExit::done};
}

}  // namespace ration::train
