#include "train/points_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/process.h"
#include "base/text.h"
#include "merge/merge.h"
#include "run/architecture.h"
#include "run/run.h"
#include "train/cpu/product.h"
#include "train/device/pack.h"
#include "train/heldout.h"
#include "train/logit_bias.h"
#include "train/point_corpora.h"
#include "train/point_lines.h"
#include "train/products.h"
#include "train/progress.h"
#include "train/weight_files.h"

namespace ration::train {
namespace {

using run::WorkerExit;

constexpr double kSaidEvery = 5;  // s

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

// Merged tensors, straight into a model.
class ModelSink final : public merge::Sink {
 public:
  explicit ModelSink(Parameters& parameters) : parameters_(parameters) {}
  Result<void> begin(std::span<const checkpoint::TensorInfo> layout,
                     const checkpoint::Metadata&) override {
    return check_tensors(layout, parameters_);
  }
  Result<void> tensor(const checkpoint::TensorInfo& info,
                      std::span<const std::byte> bytes) override {
    copy_tensor(info, bytes, parameters_.at(info.name).value.detach());
    return {};
  }

 private:
  Parameters& parameters_;
};

class PointsRun {
 public:
  PointsRun(PointsAssignment assignment, Surroundings& world)
      : run_(std::move(assignment)),
        spec_(run_.file.spec),
        world_(world),
        model_(spec_, spec_.precision == "fp64" ? at::kDouble : at::kFloat),
        optimiser_(spec_, model_.parameters()),
        group_(alone()),
        began_(world.clock.monotonic_seconds()),
        said_(began_) {}

  Result<WorkerExit> carry_out();

 private:
  Result<void> read_list();
  Result<void> open_models();
  Result<void> read_recipes();
  Result<void> open_corpora();
  Result<void> take_place();
  Result<void> begin();
  Result<void> make(std::size_t point);
  Result<void> add_line(const PointTask& task);
  Result<WorkerExit> finish();
  Result<void> emit(run::EventType type, Json values, bool durable = false);
  Path path_of(int attempt) const { return run_.folder.attempt_path(attempt) / "points.jsonl"; }
  void tell();

  PointsAssignment run_;
  const run::RunSpec& spec_;
  Surroundings& world_;
  Model model_;
  AdamW optimiser_;  // which a device wants to see
  std::unique_ptr<Group> group_;
  device::Place place_;
  run::PointList list_;
  std::map<std::string, WeightFile> models_;
  std::vector<merge::Recipe> recipes_;  // of each point
  std::vector<OpenCorpus> corpora_;
  std::vector<PointTask> tasks_;
  std::size_t done_ = 0;   // lines written
  std::size_t first_ = 0;  // of them, by earlier attempts
  std::unique_ptr<run::EventWriter> log_;
  std::unique_ptr<AppendFile> lines_;
  double began_, said_;  // monotonic seconds
};

Result<void> PointsRun::read_list() {
  const Path path = run_.file.execution.points_file;
  if (path.empty())
    return data_error(fmt::format("nothing says where the list of points {} lies", spec_.points),
                      "name its file: points_file, or points = \"file:PATH\" in a sweep");
  Result<std::string> text = world_.files.read(path);
  if (!text) return std::move(text).error();
  if (const std::string digest = "sha256:" + sha256_hex(*text); digest != spec_.points)
    return data_error(
        fmt::format("{} is another list of points ({}) than the run was defined with, {}",
                    path.string(),
                    digest,
                    spec_.points),
        "bring back the list, or expand the sweep anew");
  Result<run::PointList> list = run::parse_points(*text, path.string());
  if (!list) return std::move(list).error();
  list_ = std::move(*list);
  return {};
}

Result<void> PointsRun::open_models() {
  for (const auto& [name, weights] : list_.models) {
    const auto file = list_.files.find(name);
    Result<WeightFile> opened = open_weights(
        world_.files, run_.folder, weights, file == list_.files.end() ? "" : file->second);
    if (!opened) return std::move(opened).error().with_context(fmt::format("model \"{}\"", name));
    if (opened->run)
      if (const std::string other = run::architecture_differences(opened->run->spec, spec_);
          !other.empty())
        return data_error(
            fmt::format("model \"{}\" is another than the run's own: {}", name, other),
            "give the run the settings of the models that it evaluates");
    if (Result<void> fits = check_tensors(opened->tensors.tensors(), model_.parameters()); !fits)
      return std::move(fits).error().with_context(fmt::format("model \"{}\"", name));
    models_.emplace(name, std::move(*opened));
  }
  return {};
}

// All before the first is made: a mistake in the last one costs nothing then.
Result<void> PointsRun::read_recipes() {
  for (const run::Point& point : list_.points) {
    Result<merge::Recipe> recipe =
        merge::parse_recipe(point.recipe, fmt::format("point \"{}\"", point.name));
    if (!recipe) return std::move(recipe).error();
    if (merge::needs_statistics(*recipe))
      return data_error(
          fmt::format("point \"{}\": {} needs statistics, which a list of points has not",
                      point.name,
                      recipe->method),
          "merge with ration merge first, and let the point name the merged file");
    recipes_.push_back(std::move(*recipe));
  }
  return {};
}

Result<void> PointsRun::open_corpora() {
  std::vector<std::int64_t> windows;
  for (const run::PointCorpus& corpus : list_.corpora) {
    Result<OpenCorpus> opened =
        OpenCorpus::open(world_.files, corpus, run_.file, list_.probe.has_value());
    if (!opened) return std::move(opened).error();
    windows.push_back(opened->windows().count());
    corpora_.push_back(std::move(*opened));
  }
  tasks_ = point_tasks(list_, windows);
  return {};
}

Result<void> PointsRun::take_place() {
  at::set_num_threads(static_cast<int>(run_.file.execution.threads));
  model_.passes().use(products_named(run_.file.execution.products).value_or(usual_products()));
  Result<device::Place> place =
      device::take_place(run_.file, /*pack=*/nullptr, *group_, model_, optimiser_);
  if (!place) return std::move(place).error();
  place_ = std::move(*place);
  return {};
}

Result<void> PointsRun::emit(run::EventType type, Json values, bool durable) {
  return log_->write({.type = type,
                      .t = world_.clock.unix_seconds(),
                      .step = static_cast<std::int64_t>(done_),
                      .values = std::move(values)},
                     durable);
}

// Opens the log and takes over what the newest earlier attempt with lines of this list left.
Result<void> PointsRun::begin() {
  Result<std::unique_ptr<AppendFile>> log =
      world_.files.open_append(run_.folder.events_path(run_.attempt));
  if (!log) return std::move(log).error();
  log_ = std::make_unique<run::EventWriter>(std::move(*log), 0);
  Result<void> said = emit(run::EventType::start,
                           {{"run", run_.file.id},
                            {"attempt", run_.attempt},
                            {"token", run_.token},
                            {"host", host_name()},
                            {"pid", getpid()},
                            {"threads", run_.file.execution.threads},
                            {"processes", 1},
                            {"way", "alone"},
                            {"torch", TORCH_VERSION},
                            {"numerics", run::kNumericsVersion},
                            {"device", device::is_on_gpu(run_.file) ? "cuda" : "cpu"},
                            {"kernels", cpu::vectors()},
                            {"steps", tasks_.size()},
                            {"points", list_.points.size()},
                            {"params", param_counts(spec_)}},
                           true);
  if (!said) return said;
  std::string text;
  int from = run_.attempt - 1;
  for (; from > 0 && done_ == 0; --from) {
    if (!world_.files.exists(path_of(from))) continue;
    Result<std::string> earlier = world_.files.read(path_of(from));
    if (!earlier) return std::move(earlier).error();
    const LinesDone whole = lines_done(*earlier, list_, tasks_, spec_.context);
    done_ = first_ = whole.lines;
    text = earlier->substr(0, whole.bytes);
  }
  if (Result<void> done = world_.files.write_whole(path_of(run_.attempt), text); !done) return done;
  Result<std::unique_ptr<AppendFile>> lines = world_.files.open_append(path_of(run_.attempt));
  if (!lines) return std::move(lines).error();
  lines_ = std::move(*lines);
  if (done_ == 0) return {};
  return emit(run::EventType::resume, {{"from_attempt", from + 1}, {"from_step", done_}});
}

// The model becomes the point.
Result<void> PointsRun::make(std::size_t point) {
  const merge::Recipe& recipe = recipes_[point];
  const auto named = [&](const std::string& name) {
    return merge::Named{.name = name, .checkpoint = &models_.at(name).tensors};
  };
  merge::Inputs inputs;
  const merge::Named base = recipe.base.empty() ? merge::Named{} : named(recipe.base);
  if (!recipe.base.empty()) inputs.base = &base;
  for (const std::string& model : recipe.models) inputs.models.push_back(named(model));
  merge::Options options;
  options.threads = static_cast<int>(run_.file.execution.threads);
  options.input_digests = false;
  ModelSink sink(model_.parameters());
  Result<merge::Summary> made = merge::merge(recipe, inputs, sink, options);
  if (!made)
    return std::move(made).error().with_context(
        fmt::format("point \"{}\"", list_.points[point].name));
  if (place_) place_.seat->load();
  return {};
}

Result<void> PointsRun::add_line(const PointTask& task) {
  const OpenCorpus& corpus = corpora_[task.corpus];
  std::vector<double> losses;
  if (list_.probe) {
    const at::Tensor bias =
        fit_logit_bias(model_, *list_.probe, corpus.batches(list_.probe->sequences));
    losses = window_losses_with(model_, corpus.windows(), bias);
  } else {
    losses = window_losses(model_, corpus.windows());
  }
  if (Result<void> done = lines_->append(point_line(list_, task, losses, spec_.context)); !done)
    return done;
  ++done_;
  tell();
  return {};
}

// A line into the log of the attempt now and then.
void PointsRun::tell() {
  const double now = world_.clock.monotonic_seconds();
  if (now - said_ < kSaidEvery) return;
  said_ = now;
  const double of_line = (now - began_) / static_cast<double>(done_ - first_);
  const std::string line =
      fmt::format("line {} of {}, left {}",
                  done_,
                  tasks_.size(),
                  format_duration(of_line * static_cast<double>(tasks_.size() - done_)));
  if (world_.show_line)
    world_.show_line(line);
  else
    fmt::print(stderr, "{}\n", line);
}

Result<WorkerExit> PointsRun::finish() {
  if (Result<void> done = lines_->sync(); !done) return std::move(done).error();
  const std::string file = fmt::format("attempt-{}/points.jsonl", run_.attempt);
  const Json result = {{"schema", "ration.result/1"},
                       {"id", run_.file.id},
                       {"status", "done"},
                       {"attempt", run_.attempt},
                       {"steps", done_},
                       {"tokens", 0},
                       {"points", file},
                       {"params", param_counts(spec_)},
                       {"wall_s", world_.clock.monotonic_seconds() - began_}};
  if (Result<void> done = emit(run::EventType::done, {{"status", "done"}, {"points", file}}, true);
      !done)
    return std::move(done).error();
  if (Result<bool> first = run_.folder.publish_result(result); !first)
    return std::move(first).error();
  return WorkerExit::done;
}

Result<WorkerExit> PointsRun::carry_out() {
  for (const auto step : {&PointsRun::read_list,
                          &PointsRun::read_recipes,
                          &PointsRun::open_models,
                          &PointsRun::open_corpora,
                          &PointsRun::take_place,
                          &PointsRun::begin})
    if (Result<void> done = (this->*step)(); !done) return std::move(done).error();
  std::size_t made = list_.points.size();  // none yet
  while (true) {
    Result<bool> overtaken = run_.folder.fenced(run_.attempt);
    if (!overtaken) return std::move(overtaken).error();
    if (*overtaken) return WorkerExit::fenced;
    if (done_ == tasks_.size()) return finish();
    if (world_.stop_requested()) {
      if (Result<void> done = emit(run::EventType::stop, {{"reason", "preempted"}}, true); !done)
        return std::move(done).error();
      return WorkerExit::preempted;
    }
    const PointTask& task = tasks_[done_];
    if (task.point != made)
      if (Result<void> done = make(task.point); !done) return std::move(done).error();
    made = task.point;
    if (Result<void> done = add_line(task); !done) return std::move(done).error();
  }
}

}  // namespace

Result<WorkerExit> evaluate_points(PointsAssignment assignment, Surroundings& world) {
  return PointsRun(std::move(assignment), world).carry_out();
}

}  // namespace ration::train
