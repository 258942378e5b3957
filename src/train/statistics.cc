#include "train/statistics.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/safetensors.h"
#include "data/schedule.h"
#include "run/experts.h"
#include "train/batches.h"
#include "train/named_checkpoint.h"
#include "train/setting_words.h"

namespace ration::train {
namespace {

using run::WorkerExit;

constexpr std::int64_t kSequences = 256;

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

WorkerOutcome failed(WorkerExit exit, Error error) {
  return {.exit = exit, .error = std::move(error)};
}

// So many windows of the training tokens, each drawn once at most.
Result<std::vector<std::uint32_t>> draw_windows(const PoolWindows& windows,
                                                const Path& folder,
                                                std::int64_t context,
                                                std::int64_t sequences) {
  if (windows.count() < sequences)
    return data_error(fmt::format("{} holds {} windows of {} + 1 tokens, not {}",
                                  folder.string(),
                                  windows.count(),
                                  context,
                                  sequences),
                      "ask for fewer: sequences=N, or use more text");
  constexpr std::uint64_t kSeed = 0;
  data::WindowSchedule schedule(static_cast<std::uint32_t>(windows.count()), kSeed);
  std::vector<std::uint32_t> drawn(static_cast<std::size_t>(sequences));
  for (std::uint32_t& window : drawn) window = schedule.next();
  return drawn;
}

// As float32: what merging reads.
Result<void> write(Files& files,
                   const Path& path,
                   std::map<std::string, at::Tensor> tensors,
                   const checkpoint::Metadata& about) {
  std::vector<checkpoint::TensorView> views;
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.to(at::kFloat).contiguous();
    const auto* bytes = static_cast<const std::byte*>(tensor.const_data_ptr());
    const std::vector<std::uint64_t> shape(tensor.sizes().begin(), tensor.sizes().end());
    views.push_back({name, checkpoint::DType::f32, shape, {bytes, tensor.nbytes()}});
  }
  return checkpoint::write_safetensors(files, path, std::move(views), about);
}

bool all_finite(const std::map<std::string, at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const auto& named) {
    return named.second.isfinite().all().template item<bool>();
  });
}

}  // namespace

std::string_view name(Statistic statistic) {
  return statistic == Statistic::fisher ? "fisher" : "gram";
}

std::optional<Statistic> statistic_named(std::string_view name) {
  if (name == "fisher") return Statistic::fisher;
  if (name == "gram") return Statistic::gram;
  return std::nullopt;
}

std::map<std::string, at::Tensor> fisher_information(Model& model,
                                                     std::int64_t count,
                                                     const Sequence& sequence) {
  const c10::InferenceMode no_graph;
  Parameters& parameters = model.parameters();
  at::Tensor squares = at::zeros(parameters.grads().sizes(), at::kDouble);
  for (std::int64_t i = 0; i < count; ++i) {
    const Batch batch = sequence(i);
    parameters.grads().zero_();
    model.passes().add_gradients(batch.rows(0, 1), {}, 1.0);
    const at::Tensor gradient = parameters.grads().to(at::kDouble);
    squares.addcmul_(gradient, gradient);
  }
  squares /= static_cast<double>(count);
  std::map<std::string, at::Tensor> tensors;
  for (const Parameters::Entry& entry : parameters.entries())
    tensors[entry.shape.name] =
        squares.narrow(0, entry.offset, entry.value.numel()).view(entry.shape.shape);
  return tensors;
}

std::map<std::string, at::Tensor> gram_matrices(const Model& model,
                                                std::int64_t count,
                                                const Sequence& sequence) {
  const c10::InferenceMode no_graph;
  std::map<std::string, at::Tensor> tensors;
  const auto add = [&](std::string_view weight, const at::Tensor& x) {
    at::Tensor& gram = tensors[std::string(weight) + ".gram"];
    const at::Tensor rows = x.to(at::kDouble);
    if (!gram.defined()) gram = at::zeros({rows.size(1), rows.size(1)}, at::kDouble);
    gram.addmm_(rows.t(), rows);
  };
  for (std::int64_t i = 0; i < count; ++i) {
    const Batch batch = sequence(i);
    model.passes().show_inputs(batch.rows(0, 1), add);
  }
  return tensors;
}

namespace {

// Why the gradients of training with this router are not those of the text's likelihood by the
// weights alone; empty where they are.
std::string_view what_else_than_weights(std::string_view router) {
  for (const char* each : {"smear", "ensemble", "hash", "top1", "dense", "dense_wide"})
    if (router == each) return "";
  if (router == "tag") return "is told the source of each sequence";
  if (router == "dselect") return "adds a loss of its own to the text's";
  return "draws experts in training";
}

std::optional<Error> not_with_experts(const run::RunSpec& spec, Statistic statistic) {
  if (!run::has_experts(spec)) return std::nullopt;
  const auto usage = [](std::string what, std::string hint) {
    return Error{.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
  };
  if (statistic == Statistic::gram)
    return usage("experts read merged weights' inputs, of which there are no Gram matrices",
                 "take --statistics fisher");
  const std::string_view more = what_else_than_weights(spec.router);
  if (more.empty()) return std::nullopt;
  return usage(
      fmt::format("router \"{}\" {}, and statistics are of the weights alone", spec.router, more),
      "statistics are for routers smear, ensemble, hash and top1");
}

}  // namespace

WorkerOutcome write_statistics(const StatisticsOptions& options,
                               Surroundings& world,
                               const std::function<void(const std::string&)>& say) {
  Files& files = world.files;
  std::vector<std::string> settings = options.of.settings;
  Result<std::int64_t> sequences = take_sequences(settings, kSequences);
  if (!sequences) return failed(WorkerExit::usage, std::move(sequences).error());
  Result<NamedCheckpoint> named = find_checkpoint(files, options.of.checkpoint);
  if (!named) return failed(WorkerExit::usage, std::move(named).error());
  Result<run::RunFile> file = read_run(files, named->run, settings);
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  if (std::optional<Error> problem = not_with_experts(file->spec, options.statistic))
    return failed(WorkerExit::usage, std::move(*problem));
  const Result<TrainingText> text = open_training_text(files, options.of.data, *file);
  if (!text) return failed(WorkerExit::data, text.error());
  run::RunSpec spec = file->spec;
  const PoolWindows windows(text->pool, spec.context);
  const Result<std::vector<std::uint32_t>> drawn =
      draw_windows(windows, options.of.data, spec.context, *sequences);
  if (!drawn) return failed(WorkerExit::data, drawn.error());

  at::set_num_threads(static_cast<int>(file->execution.threads));
  spec.dropout = 0, spec.z_loss = 0, spec.tune = "all";
  spec.expert_dropout = 0, spec.router_balance = 0;
  Model model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  Result<FoundCheckpoint> found = load_weights(files, *named, *file, model.parameters(), say);
  if (!found) return failed(WorkerExit::data, std::move(found).error());
  model.passes().use(products_of(*file, *found));
  const std::string checkpoint =
      CheckpointName{.attempt = found->attempt, .step = found->step}.text();
  say(fmt::format("{} over {} windows, of {} of run {}",
                  name(options.statistic),
                  *sequences,
                  checkpoint,
                  file->id));
  const Sequence sequence = [&](std::int64_t i) {
    Batch batch = windows.batch(std::span(*drawn).subspan(static_cast<std::size_t>(i), 1));
    batch.end_token = text->manifest.end_token;
    return batch;
  };
  const std::map<std::string, at::Tensor> tensors =
      options.statistic == Statistic::fisher ? fisher_information(model, *sequences, sequence)
                                             : gram_matrices(model, *sequences, sequence);
  if (!all_finite(tensors))
    return failed(WorkerExit::data,
                  data_error("the checkpoint's statistics are not finite",
                             "take an earlier checkpoint of the run"));
  const checkpoint::Metadata about = {{"schema", "ration.statistics/1"},
                                      {"statistic", std::string(name(options.statistic))},
                                      {"run", file->id},
                                      {"checkpoint", checkpoint},
                                      {"data", text->manifest.digest},
                                      {"sequences", std::to_string(*sequences)},
                                      {"context", std::to_string(spec.context)},
                                      {"rows", std::to_string(*sequences * spec.context)}};
  if (Result<void> done = write(files, options.of.output, tensors, about); !done)
    return failed(WorkerExit::other, std::move(done).error());
  say(fmt::format("wrote {}", options.of.output.string()));
  return {.exit = WorkerExit::done};
}

}  // namespace ration::train
