#include "fuse/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "checkpoint/safetensors_writer.h"
#include "merge/merge.h"
#include "merge/numbers.h"

namespace ration::fuse {
namespace {

using checkpoint::Checkpoint;
using checkpoint::DType;
using checkpoint::SafetensorsWriter;
using checkpoint::TensorInfo;

// Checkpoints that stay where they are while a merge reads them.
class Opened {
 public:
  explicit Opened(Files& files) : files_(files) {}

  Result<const Checkpoint*> open(const Path& path) {
    Result<Checkpoint> checkpoint = Checkpoint::open(files_, path);
    if (!checkpoint) return std::move(checkpoint).error();
    return &all_.emplace_back(std::move(*checkpoint));
  }

 private:
  Files& files_;
  std::deque<Checkpoint> all_;
};

DType velocity_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

// Takes the fused model of a round and writes base + eta v, and v where there is momentum.
class OuterStep final : public merge::Sink {
 public:
  OuterStep(Files& files, const Step& step, const Checkpoint& base, const Checkpoint* before)
      : files_(files), step_(step), base_(base), before_(before) {}

  Path model, velocity;  // where to

  Result<void> begin(std::span<const TensorInfo> layout,
                     const checkpoint::Metadata& metadata) override {
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::create(files_, model, {layout.begin(), layout.end()}, metadata);
    if (!writer) return std::move(writer).error();
    model_writer_.emplace(std::move(*writer));
    if (step_.momentum == 0) return {};
    std::vector<TensorInfo> floats;
    for (TensorInfo info : layout) {
      if (!merge::is_float(info.dtype)) continue;
      info.dtype = velocity_dtype(info.dtype);
      floats.push_back(std::move(info));
    }
    Result<SafetensorsWriter> other = SafetensorsWriter::create(files_, velocity, floats, {});
    if (!other) return std::move(other).error();
    velocity_writer_.emplace(std::move(*other));
    return {};
  }

  Result<void> tensor(const TensorInfo& info, std::span<const std::byte> bytes) override {
    if (!merge::is_float(info.dtype)) return model_writer_->append(bytes);
    const std::size_t count = bytes.size() / item_bytes(info.dtype);
    for (std::size_t first = 0; first < count; first += kChunk)
      if (Result<void> done = chunk(info, bytes, first, std::min(kChunk, count - first)); !done)
        return done;
    return {};
  }

  Result<void> finish() {
    if (velocity_writer_)
      if (Result<void> done = velocity_writer_->finish(); !done) return done;
    return model_writer_->finish();
  }

 private:
  static constexpr std::size_t kChunk = 2048;

  Result<void> chunk(const TensorInfo& info,
                     std::span<const std::byte> bytes,
                     std::size_t first,
                     std::size_t count) {
    std::vector<double> theta(count), v(count), old(count);
    merge::widen(info.dtype, base_.bytes(*base_.find(info.name)).data(), first, theta);
    merge::widen(info.dtype, bytes.data(), first, v);
    for (std::size_t j = 0; j < count; ++j) v[j] -= theta[j];
    if (step_.momentum != 0) {
      const DType dtype = velocity_dtype(info.dtype);
      if (before_ != nullptr) {
        merge::widen(dtype, before_->bytes(*before_->find(info.name)).data(), first, old);
        for (std::size_t j = 0; j < count; ++j) v[j] += step_.momentum * old[j];
      }
      if (Result<void> done = write(*velocity_writer_, info, dtype, first, v); !done) return done;
    }
    for (std::size_t j = 0; j < count; ++j) theta[j] += step_.eta * v[j];
    return write(*model_writer_, info, info.dtype, first, theta);
  }

  // Appends the numbers, and leaves them as they were rounded.
  Result<void> write(SafetensorsWriter& writer,
                     const TensorInfo& info,
                     DType dtype,
                     std::size_t first,
                     std::vector<double>& numbers) {
    const double limit = merge::overflow_limit(dtype);
    for (std::size_t j = 0; j < numbers.size(); ++j)
      if (!(numbers[j] < limit && numbers[j] > -limit))
        return Error{.kind = ErrorKind::input,
                     .what = fmt::format("tensor \"{}\": the outer step at element {} is beyond "
                                         "the range of {}",
                                         info.name,
                                         first + j,
                                         checkpoint::name(dtype)),
                     .hint = "choose a smaller eta or momentum"};
    std::vector<std::byte> bytes(numbers.size() * item_bytes(dtype));
    merge::narrow(dtype, numbers, 0, bytes.data());
    merge::widen(dtype, bytes.data(), 0, numbers);
    return writer.append(bytes);
  }

  Files& files_;
  const Step& step_;
  const Checkpoint& base_;
  const Checkpoint* before_;
  std::optional<SafetensorsWriter> model_writer_, velocity_writer_;
};

// No program version in the metadata: a later one must be able to make the same bytes again.
merge::Options options(int threads) {
  merge::Options options;
  options.threads = threads;
  return options;
}

Result<merge::Summary> outer_step(Files& files,
                                  const Step& step,
                                  const merge::Recipe& recipe,
                                  const merge::Inputs& inputs,
                                  const Checkpoint& base,
                                  Stepped& stepped,
                                  int threads) {
  Opened opened(files);
  const Checkpoint* before = nullptr;
  if (!step.velocity.empty()) {
    Result<const Checkpoint*> velocity = opened.open(step.velocity);
    if (!velocity) return std::move(velocity).error();
    before = *velocity;
    for (const TensorInfo& info : base.tensors())
      if (merge::is_float(info.dtype) && before->find(info.name) == nullptr)
        return Error{
            .kind = ErrorKind::input,
            .what = fmt::format("{} lacks tensor \"{}\"", step.velocity.string(), info.name),
            .hint = "begin the fusion anew under another name"};
  }
  OuterStep sink(files, step, base, before);
  sink.model = stepped.model;
  sink.velocity = stepped.velocity;
  Result<merge::Summary> summary = merge::merge(recipe, inputs, sink, options(threads));
  if (!summary) return summary;
  if (Result<void> done = sink.finish(); !done) return std::move(done).error();
  return summary;
}

}  // namespace

merge::Recipe recipe_for(const merge::Recipe& op,
                         std::vector<std::string> models,
                         std::vector<double> weights) {
  merge::Recipe recipe = op;
  recipe.models = std::move(models);
  recipe.base = merge::needs_base(recipe) ? "base" : "";
  const bool equal = std::all_of(
      weights.begin(), weights.end(), [&](double weight) { return weight == weights.front(); });
  if (recipe.method == "average" && !equal) recipe.method = "weighted";
  const std::vector<std::string> members = merge::members_of(recipe.method);
  const auto reads = [&](const char* member) {
    return std::find(members.begin(), members.end(), member) != members.end();
  };
  recipe.weights.clear();
  if (reads("weights") && !equal) recipe.weights = std::move(weights);
  // A fusion is a mean over those that are there, whatever their number.
  const bool sums = recipe.method == "task_arithmetic" || recipe.method == "dare_linear";
  if (sums && !recipe.normalize) recipe.normalize = true;
  return recipe;
}

Result<Path> effective(
    Files& files, const Part& part, const Path& base, const Path& work, int threads) {
  const bool stale = part.from != base;
  if (!stale && part.scale == 1) return part.model;
  Opened opened(files);
  std::vector<merge::Named> named;
  for (const auto& [name, path] : {std::pair<const char*, const Path&>{"base", base},
                                   {"model", part.model},
                                   {"from", part.from}}) {
    Result<const Checkpoint*> checkpoint = opened.open(path);
    if (!checkpoint) return std::move(checkpoint).error();
    named.push_back({name, *checkpoint, nullptr});
  }
  merge::Recipe recipe;
  recipe.method = "linear";
  merge::Inputs inputs;
  if (stale) {
    recipe.models = {"base", "model", "from"};
    recipe.weights = {1, part.scale, -part.scale};
    inputs.models = named;
  } else {
    recipe.base = "base";
    recipe.models = {"model"};
    recipe.weights = {part.scale};
    inputs.base = &named[0];
    inputs.models = {named[1]};
  }
  const Path to = work / (part.contributor + ".effective.safetensors");
  Result<merge::Summary> done = merge::merge_to_file(files, recipe, inputs, to, options(threads));
  if (!done) return std::move(done).error().with_context(part.contributor);
  return to;
}

Result<Stepped> fuse_step(Files& files, const Step& step, const Path& work, int threads) {
  if (Result<void> made = files.make_folders(work); !made) return std::move(made).error();
  Opened opened(files);
  Result<const Checkpoint*> base = opened.open(step.base);
  if (!base) return std::move(base).error();
  const merge::Named named_base{"base", *base, nullptr};
  merge::Inputs inputs;
  std::vector<std::string> names;
  std::vector<double> weights;
  for (const Part& part : step.parts) {
    Result<Path> path = effective(files, part, step.base, work, threads);
    if (!path) return std::move(path).error();
    Result<const Checkpoint*> model = opened.open(*path);
    if (!model) return std::move(model).error();
    inputs.models.push_back({part.contributor, *model, nullptr});
    names.push_back(part.contributor);
    weights.push_back(part.weight);
  }
  const merge::Recipe recipe = recipe_for(step.op, std::move(names), std::move(weights));
  if (!recipe.base.empty()) inputs.base = &named_base;

  const bool plain = step.eta == 1 && step.momentum == 0;
  Stepped stepped{.model = work / "next.safetensors", .velocity = {}, .warnings = {}};
  if (step.momentum != 0) stepped.velocity = work / "velocity.safetensors";
  Result<merge::Summary> summary =
      plain ? merge::merge_to_file(files, recipe, inputs, stepped.model, options(threads))
            : outer_step(files, step, recipe, inputs, **base, stepped, threads);
  if (!summary) return std::move(summary).error();
  stepped.warnings = std::move(summary->warnings);
  return stepped;
}

}  // namespace ration::fuse
