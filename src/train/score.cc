#include "train/score.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/part_file.h"
#include "base/text.h"
#include "data/shards.h"
#include "train/checkpoint_folder.h"
#include "train/device/pack.h"
#include "train/document_losses.h"
#include "train/named_checkpoint.h"
#include "train/products.h"
#include "train/told_source.h"

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

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
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
  std::vector<std::string> settings = options.settings;
  const Result<std::optional<std::int64_t>> asked = take_source(settings);
  if (!asked) return failed(WorkerExit::usage, asked.error());
  Result<NamedCheckpoint> named = find_checkpoint(files, options.checkpoint);
  if (!named) return failed(WorkerExit::usage, std::move(named).error());
  Result<run::RunFile> file = read_run(files, named->run, settings);
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  const run::RunSpec& spec = file->spec;
  const Result<TrainingText> text = open_training_text(files, options.data, *file);
  if (!text) return failed(WorkerExit::data, text.error());
  const data::Manifest& manifest = text->manifest;
  const Result<std::int64_t> source = source_of_data(spec, manifest.digest, *asked);
  if (!source) return failed(WorkerExit::usage, source.error());

  at::set_num_threads(static_cast<int>(file->execution.threads));
  Model model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  Result<FoundCheckpoint> found = load_weights(files, *named, *file, model.parameters(), say);
  if (!found) return failed(WorkerExit::data, std::move(found).error());
  model.passes().use(products_of(*file, *found));
  AdamW no_moments(spec, model.parameters());
  const std::unique_ptr<Group> group = alone();
  Result<device::Place> place =
      device::take_place(*file, /*pack=*/nullptr, *group, model, no_moments);
  if (!place) {
    const bool usage = place.error().kind == ErrorKind::usage;
    return failed(usage ? WorkerExit::usage : WorkerExit::other, std::move(place).error());
  }

  const std::string checkpoint =
      CheckpointName{.attempt = found->attempt, .step = found->step}.text();
  const std::int64_t documents = manifest.train.documents;
  say(fmt::format("{} documents, {}, by {} of run {}",
                  documents,
                  format_quantity(static_cast<double>(manifest.train.tokens), "tok"),
                  checkpoint,
                  file->id));
  const auto end_token = static_cast<std::int32_t>(manifest.end_token);
  const auto losses = [&](std::span<const std::int32_t> tokens,
                          std::span<const std::uint64_t> starts) {
    return document_losses(model.passes(), tokens, starts, end_token, spec.context, *source);
  };
  const Json header = {{"schema", kSchema},
                       {"data", manifest.digest},
                       {"checkpoint", checkpoint},
                       {"run_id", file->id},
                       {"documents", documents},
                       {"unit", "nats_per_token"},
                       {"context", spec.context},
                       {"windows", "disjoint"},
                       {"first_input", manifest.end_token}};
  std::optional<Failure> failure = write_scores(options, world, text->pool, losses, header, say);
  if (failure) return failed(failure->exit, std::move(failure->error));
  say(fmt::format("wrote {}", options.output.string()));
  return {.exit = WorkerExit::done};
}

}  // namespace ration::train
