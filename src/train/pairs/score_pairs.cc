#include "train/pairs/score_pairs.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/hash.h"
#include "base/text.h"
#include "run/experts.h"
#include "train/device/pack.h"
#include "train/named_checkpoint.h"
#include "train/pairs/choice_reader.h"
#include "train/products.h"
#include "train/setting_words.h"
#include "train/told_source.h"
#include "train/weight_files.h"

namespace ration::train {
namespace {

using run::WorkerExit;

constexpr std::string_view kSchema = "ration.pair-scores/1";
constexpr std::string_view kBatchTokens = "batch_tokens";
constexpr std::int64_t kUsualBatchTokens = 2048;
constexpr std::int64_t kMostBatchTokens = std::int64_t{1} << 24;
constexpr double kSaidEvery = 5;  // s

struct Failure {
  WorkerExit exit;
  Error error;
};

// Takes the word "batch_tokens=N" out of the settings; the number, or its default.
Result<std::int64_t> take_batch_tokens(std::vector<std::string>& settings) {
  std::int64_t tokens = kUsualBatchTokens;
  for (const std::string& word : settings) {
    if (name_of_setting(word) != kBatchTokens) continue;
    const std::string_view number =
        std::string_view(word).substr(std::min(word.size(), kBatchTokens.size() + 1));
    const char* const behind = number.data() + number.size();
    const auto [end, code] = std::from_chars(number.data(), behind, tokens);
    if (code != std::errc() || end != behind || tokens < 1 || tokens > kMostBatchTokens)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("\"{}\" is no number of tokens", word),
                   .hint = fmt::format("write {}={}: a whole number from 1 to {}",
                                       kBatchTokens,
                                       kUsualBatchTokens,
                                       kMostBatchTokens)};
  }
  std::erase_if(settings,
                [](const std::string& word) { return name_of_setting(word) == kBatchTokens; });
  return tokens;
}

struct List {
  std::string file;  // its name in errors
  std::string sha256;
  PairList pairs;
};

// A model with its weights, and what is known of them.
struct Loaded {
  run::RunFile run;
  std::unique_ptr<Model> model;
  std::int64_t source = 0;  // that its router is told
  std::string sha256;       // of the weights' file
  std::string name;         // for people
};

// Loads a checkpoint of the run it lies in.
std::optional<Failure> load_of_run(Files& files,
                                   const NamedCheckpoint& named,
                                   const std::function<void(const std::string&)>& say,
                                   Loaded& loaded) {
  Result<FoundCheckpoint> found =
      load_weights(files, named, loaded.run, loaded.model->parameters(), say);
  if (!found) return Failure{WorkerExit::data, std::move(found).error()};
  const CheckpointName name{.attempt = found->attempt, .step = found->step};
  const CheckpointFolder folder(files, run::RunFolder(files, named.run), loaded.run.id);
  Result<Path> path = folder.weights_path(name);
  if (!path) return Failure{WorkerExit::data, std::move(path).error()};
  Result<checkpoint::Checkpoint> tensors = checkpoint::Checkpoint::open(files, *path);
  if (!tensors) return Failure{WorkerExit::data, std::move(tensors).error()};
  loaded.sha256 = tensors->sha256();
  loaded.name = fmt::format("{} of run {}", name.text(), loaded.run.id);
  return std::nullopt;
}

// Loads a file of weights into the model of a run.
std::optional<Failure> load_file(Files& files, const Path& path, Loaded& loaded) {
  Result<checkpoint::Checkpoint> tensors = checkpoint::Checkpoint::open(files, path);
  if (!tensors) return Failure{WorkerExit::data, std::move(tensors).error()};
  Result<void> done = copy_tensors(*tensors, loaded.model->parameters());
  if (!done) return Failure{WorkerExit::data, std::move(done).error().with_context(path.string())};
  loaded.sha256 = tensors->sha256();
  loaded.name = fmt::format("{}, read like run {}", path.string(), loaded.run.id);
  return std::nullopt;
}

std::optional<Failure> load(const PairOptions& options,
                            const Path& checkpoint,
                            std::optional<std::int64_t> source,
                            const List& list,
                            Files& files,
                            const std::function<void(const std::string&)>& say,
                            Loaded& loaded) {
  const bool of_run = options.like.empty();
  const Result<NamedCheckpoint> named = find_checkpoint(files, of_run ? checkpoint : options.like);
  if (!named) return Failure{WorkerExit::usage, named.error()};
  Result<run::RunFile> file = read_run(files, named->run, options.settings);
  if (!file) return Failure{WorkerExit::usage, std::move(file).error()};
  loaded.run = std::move(*file);
  const run::RunSpec& spec = loaded.run.spec;
  const Result<std::int64_t> told = source_of_text(spec, source);
  if (!told) return Failure{WorkerExit::usage, told.error()};
  loaded.source = *told;
  if (Result<void> fits = check_fits(list.pairs, list.file, spec.vocab, spec.context); !fits)
    return Failure{WorkerExit::data, std::move(fits).error()};
  at::set_num_threads(static_cast<int>(loaded.run.execution.threads));
  loaded.model = std::make_unique<Model>(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  return of_run ? load_of_run(files, *named, say, loaded) : load_file(files, checkpoint, loaded);
}

// What reads with this model, where its run is to be carried out.
Result<std::unique_ptr<ChoiceReader>> reader_of(const Loaded& loaded, std::int64_t batch_tokens) {
  const run::RunSpec& spec = loaded.run.spec;
  if (run::has_experts(spec)) return full_pass_reader(*loaded.model, loaded.source);
  const Result<device::DeviceOptions> options = device::options_of(loaded.run);  // a GPU there is
  if (!options) return options.error();
  const Parameters& parameters = loaded.model->parameters();
  // Not those that training took: the trainer's own give the same bits for any batch.
  const Products products =
      products_named(loaded.run.execution.products).value_or(usual_products());
  const device::Computes computes = device::computes_on(loaded.run);
  return cached_reader(device::is_on_gpu(loaded.run)
                           ? tensor_network(spec, parameters, computes.device, computes.type)
                           : cpu_network(spec, parameters, products),
                       batch_tokens);
}

// What is told of prompts that are read one batch after the other.
class Pace {
 public:
  Pace(Clock& clock, const PairList& list) : clock_(clock), list_(list) {}

  std::optional<std::string> line(const ChoicesDone& done) {
    const double now = clock_.monotonic_seconds();
    if (now - said_ < kSaidEvery) return std::nullopt;
    said_ = now;
    const auto choices = static_cast<double>(done.choices);
    const double left = static_cast<double>(list_.choices.size()) - choices;
    return fmt::format("{} of {} choices behind {} prompts, {}/s, left {}",
                       done.choices,
                       list_.choices.size(),
                       done.prompts,
                       format_quantity(static_cast<double>(done.tokens) / (now - began_), "tok"),
                       format_duration(left * (now - began_) / choices));
  }

 private:
  Clock& clock_;
  const PairList& list_;
  double began_ = clock_.monotonic_seconds();
  double said_ = began_;
};

// The header and a line a choice.
Result<std::string> lines_of(const Loaded& loaded,
                             const List& list,
                             const ChoiceScores& scores,
                             double seconds) {
  const Json header = {{"schema", kSchema},
                       {"checkpoint", loaded.sha256},
                       {"run", loaded.run.id},
                       {"list", list.sha256},
                       {"choices", list.pairs.choices.size()},
                       {"tokens_computed", scores.tokens_computed},
                       {"tokens_alone", scores.tokens_alone},
                       {"seconds", seconds}};
  std::string lines = header.dump() + "\n";
  for (std::size_t i = 0; i < list.pairs.choices.size(); ++i) {
    const PairList::Choice& choice = list.pairs.choices[i];
    lines += fmt::format("{{\"choice\":{},\"logp\":[", i);
    for (std::size_t t = 0; t < choice.tokens.size(); ++t) {
      const double logp = scores.logp[choice.first + t];
      if (!std::isfinite(logp))
        return Error{
            .kind = ErrorKind::input,
            .what = fmt::format("{} gives choice {} no finite probability", loaded.name, i),
            .hint = "score an earlier checkpoint of the run"};
      lines += fmt::format("{}{:.9g}", t == 0 ? "" : ",", logp);
    }
    lines += "]}\n";
  }
  return lines;
}

std::optional<Failure> score_one(const PairOptions& options,
                                 const Path& checkpoint,
                                 std::int64_t batch_tokens,
                                 std::optional<std::int64_t> source,
                                 const List& list,
                                 Surroundings& world,
                                 const std::function<void(const std::string&)>& say,
                                 std::string& out) {
  Loaded loaded;
  if (auto failure = load(options, checkpoint, source, list, world.files, say, loaded))
    return failure;
  Result<std::unique_ptr<ChoiceReader>> reader = reader_of(loaded, batch_tokens);
  if (!reader) {
    const bool usage = reader.error().kind == ErrorKind::usage;
    return Failure{usage ? WorkerExit::usage : WorkerExit::other, std::move(reader).error()};
  }
  say(fmt::format("{} choices behind {} prompts, by {}",
                  list.pairs.choices.size(),
                  list.pairs.prompts.size(),
                  loaded.name));
  Pace pace(world.clock, list.pairs);
  const double began = world.clock.monotonic_seconds();
  const ChoiceScores scores =
      score_choices(**reader, list.pairs, batch_tokens, [&](const ChoicesDone& done) {
        if (const auto line = pace.line(done)) say(*line);
      });
  const double seconds = world.clock.monotonic_seconds() - began;
  Result<std::string> lines = lines_of(loaded, list, scores, seconds);
  if (!lines) return Failure{WorkerExit::data, std::move(lines).error()};
  out += *lines;
  say(fmt::format("computed {} in {}, {:.1f} times fewer than choice by choice",
                  format_quantity(static_cast<double>(scores.tokens_computed), "tok"),
                  format_duration(seconds),
                  static_cast<double>(scores.tokens_alone) /
                      static_cast<double>(std::max<std::int64_t>(1, scores.tokens_computed))));
  return std::nullopt;
}

WorkerOutcome failed(WorkerExit exit, Error error) {
  return {.exit = exit, .error = std::move(error)};
}

}  // namespace

WorkerOutcome score_pairs(const PairOptions& given,
                          Surroundings& world,
                          const std::function<void(const std::string&)>& say) {
  PairOptions options = given;
  const Result<std::int64_t> batch_tokens = take_batch_tokens(options.settings);
  if (!batch_tokens) return failed(WorkerExit::usage, batch_tokens.error());
  const Result<std::optional<std::int64_t>> source = take_source(options.settings);
  if (!source) return failed(WorkerExit::usage, source.error());
  List list{.file = options.list.string(), .sha256 = {}, .pairs = {}};
  {
    const Result<std::string> text = world.files.read(options.list);
    if (!text) return failed(WorkerExit::data, text.error());
    Result<PairList> pairs = parse_pair_list(*text, list.file);
    if (!pairs) return failed(WorkerExit::data, std::move(pairs).error());
    list.sha256 = sha256_hex(*text);
    list.pairs = std::move(*pairs);
  }
  std::string lines;
  for (const Path& checkpoint : options.checkpoints)
    if (auto failure =
            score_one(options, checkpoint, *batch_tokens, *source, list, world, say, lines))
      return failed(failure->exit, std::move(failure->error));
  if (Result<void> done = world.files.write_whole(options.output, lines); !done)
    return failed(WorkerExit::other, std::move(done).error());
  say(fmt::format("wrote {}", options.output.string()));
  return {.exit = WorkerExit::done};
}

}  // namespace ration::train
