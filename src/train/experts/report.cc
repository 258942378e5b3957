#include "train/experts/report.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "run/experts.h"
#include "run/mixture.h"
#include "train/experts/specialisation.h"
#include "train/named_checkpoint.h"
#include "train/setting_words.h"

namespace ration::train::experts {
namespace {

using run::WorkerExit;

constexpr std::int64_t kSequences = 256;
constexpr std::int64_t kPermutations = 1000;
constexpr std::int64_t kTokensAtOnce = 8192;

bool is_routed_at_evaluation(const run::RunSpec& spec) {
  return run::has_experts(spec) && (run::reads_states(spec) || run::reads_sources(spec));
}

// The units of a batch that were routed by something; its first sequence has the number `first`.
void add_units(const Routing& routing,
               const Places& places,
               std::int64_t source,
               std::int64_t first,
               RoutedUnits& units) {
  if (!routing.weights.defined()) return;  // sequences too short
  const at::Tensor weights = routing.weights.to(at::kDouble).contiguous();
  const at::Tensor soft =
      routing.soft.defined() ? routing.soft.to(at::kDouble).contiguous() : weights;
  const std::int64_t experts = units.experts;
  const auto* row = weights.const_data_ptr<double>();
  const auto* p = soft.const_data_ptr<double>();
  const bool* known = places.known.defined() ? places.known.const_data_ptr<bool>() : nullptr;
  for (std::int64_t b = 0; b < weights.size(0); ++b)
    for (std::int64_t u = 0; u < weights.size(1); ++u, row += experts, p += experts) {
      if (known != nullptr && !*known++) continue;
      units.weights.insert(units.weights.end(), row, row + experts);
      units.soft.insert(units.soft.end(), p, p + experts);
      units.sources.push_back(source);
      units.sequences.push_back(first + b);
    }
}

// Mean loss of each window of each source: [source][window].
using WindowLosses = std::vector<std::vector<double>>;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// One pass over all sources: the losses, and, where `layers` is given, how units are routed by each
// layer with experts.
WindowLosses read_all(const Model& model,
                      const std::vector<SourceText>& sources,
                      const Intervention* intervention,
                      std::vector<RoutedUnits>* layers) {
  const c10::InferenceMode no_gradients;
  WindowLosses losses(sources.size());
  std::int64_t sequence = 0;
  for (std::size_t source = 0; source < sources.size(); ++source) {
    const Windows& windows = sources[source].windows;
    const std::int64_t most = std::max<std::int64_t>(1, kTokensAtOnce / windows.context());
    for (std::int64_t first = 0; first < windows.count(); first += most) {
      const std::int64_t count = std::min(most, windows.count() - first);
      std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
      std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
      const Batch batch = windows.batch(order);
      const Model::Routings routings = model.routings(
          batch.inputs, {.sources = batch.sources, .end_token = batch.end_token}, intervention);
      for (std::int64_t b = 0; b < count; ++b)
        losses[source].push_back(
            model.loss_sum(routings.logits[b], batch.targets[b]).item<double>() /
            static_cast<double>(windows.context()));
      for (std::size_t i = 0; layers != nullptr && i < routings.layers.size(); ++i)
        add_units(routings.layers[i],
                  routings.places,
                  static_cast<std::int64_t>(source),
                  sequence,
                  (*layers)[i]);
      sequence += count;
    }
  }
  return losses;
}

// Of the differences of one source's windows.
Increase increase_of(const std::vector<double>& changed, const std::vector<double>& usual) {
  std::vector<double> more(usual.size());
  for (std::size_t i = 0; i < more.size(); ++i) more[i] = changed[i] - usual[i];
  const auto n = static_cast<double>(more.size());
  const double mean = mean_of(more);
  double squares = 0;
  for (const double one : more) squares += (one - mean) * (one - mean);
  return {.mean = mean,
          .error = more.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                   : std::sqrt(squares / (n - 1) / n)};
}

// What each source loses, beyond `usual`.
std::vector<Increase> increases(const Model& model,
                                const std::vector<SourceText>& sources,
                                const WindowLosses& usual,
                                const Intervention& intervention) {
  const WindowLosses changed = read_all(model, sources, &intervention, nullptr);
  std::vector<Increase> more;
  for (std::size_t s = 0; s < usual.size(); ++s) more.push_back(increase_of(changed[s], usual[s]));
  return more;
}

// JSON has no NaN: what is not known is null.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// Cosines between experts, each minus the mean of all: [E,E].
Json cosines_of(Model& model, const run::RunSpec& spec, std::int64_t layer) {
  std::vector<at::Tensor> rows;
  for (std::int64_t e = 0; e < run::stored_experts(spec); ++e) {
    std::vector<at::Tensor> parts;
    for (const Parameters::Entry& entry : model.parameters().entries())
      if (entry.shape.name.starts_with(fmt::format("h{}.experts.{}.", layer, e)))
        parts.push_back(entry.value.detach().to(at::kDouble).flatten());
    rows.push_back(at::cat(parts));
  }
  const at::Tensor theta = at::stack(rows);
  const at::Tensor apart = theta - theta.mean(0, /*keepdim=*/true);
  const at::Tensor unit = apart / apart.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-300);
  const at::Tensor cosines = unit.matmul(unit.t());
  Json json = Json::array();
  for (std::int64_t i = 0; i < cosines.size(0); ++i) {
    const double* row = cosines[i].contiguous().const_data_ptr<double>();
    json.push_back(std::vector<double>(row, row + cosines.size(1)));
  }
  return json;
}

Json weights_or_null(const std::vector<double>& mean) { return mean.empty() ? Json() : Json(mean); }

Json routing_report(const RoutedUnits& units, std::size_t sources) {
  Json by_source = Json::array(), counts = Json::array();
  for (std::size_t s = 0; s < sources; ++s) {
    const auto source = static_cast<std::int64_t>(s);
    counts.push_back(units.units_of(source));
    by_source.push_back(weights_or_null(mean_weights(units, source)));
  }
  Json json = {{"units", units.units()},
               {"units_by_source", std::move(counts)},
               {"entropy", number_or_null(mean_entropy(units))},
               {"mean", weights_or_null(mean_weights(units))},
               {"mean_by_source", std::move(by_source)}};
  const bool known = units.units() > 0 && units.experts > 1;
  json["collapsed"] = known ? Json(is_collapsed(units)) : Json();
  json["uniform"] = known ? Json(is_uniform(units)) : Json();
  if (const double found = normalised_information(units); std::isfinite(found)) {
    json["information"] = found;
    json["information_p"] = information_p_value(units, kPermutations, 0);
  }
  return json;
}

// What each source loses without each expert of a layer: [source][expert], rows empty for sources
// of which nothing is routed.
std::vector<std::vector<Increase>> ablation_of(const Model& model,
                                               const run::RunSpec& spec,
                                               const std::vector<SourceText>& sources,
                                               const WindowLosses& usual,
                                               const RoutedUnits& units,
                                               std::int64_t layer) {
  std::vector<std::vector<Increase>> rows(sources.size());
  if (units.units() == 0 || spec.experts < 2) return rows;
  for (std::int64_t e = 0; e < spec.experts; ++e) {
    const Intervention without{.layer = layer, .without = e};
    const std::vector<Increase> more = increases(model, sources, usual, without);
    for (std::size_t s = 0; s < sources.size(); ++s)
      if (units.units_of(static_cast<std::int64_t>(s)) > 0) rows[s].push_back(more[s]);
  }
  return rows;
}

// [source][expert] of one member; null for an empty row.
Json table_of(const std::vector<std::vector<Increase>>& rows, double Increase::*member) {
  Json table = Json::array();
  for (const std::vector<Increase>& row : rows) {
    Json numbers = row.empty() ? Json() : Json::array();
    for (const Increase& one : row) numbers.push_back(number_or_null(one.*member));
    table.push_back(std::move(numbers));
  }
  return table;
}

// Each source routed with the mean weights of each other one, in all layers: [source][other]; null
// where nothing of one of the two is routed.
Json swaps(const Model& model,
           const run::RunSpec& spec,
           const std::vector<SourceText>& sources,
           const std::vector<RoutedUnits>& layers,
           const WindowLosses& usual) {
  const auto is_routed = [&](std::size_t source) {
    return layers[0].units_of(static_cast<std::int64_t>(source)) > 0;  // the same in all layers
  };
  Json matrix = Json::array();
  for (std::size_t s = 0; s < sources.size(); ++s)
    matrix.push_back(std::vector<Json>(sources.size()));
  for (std::size_t other = 0; other < sources.size(); ++other) {
    if (!is_routed(other)) continue;
    Intervention as_other{.weights = at::zeros({spec.layers, spec.experts}, at::kDouble)};
    std::size_t number = 0;
    for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
      if (!run::has_experts(spec, layer)) continue;
      const std::vector<double> mean =
          mean_weights(layers[number++], static_cast<std::int64_t>(other));
      as_other.weights[layer].copy_(at::tensor(mean, at::kDouble));
    }
    const std::vector<Increase> more = increases(model, sources, usual, as_other);
    for (std::size_t s = 0; s < sources.size(); ++s)
      if (is_routed(s)) matrix[s][other] = more[s].mean;
  }
  return matrix;
}

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

WorkerOutcome failed(WorkerExit exit, Error error) {
  return {.exit = exit, .error = std::move(error)};
}

// The first windows of the held-out split of a folder.
Result<SourceText> open_source(Files& files,
                               const Path& folder,
                               const std::string& digest,
                               const run::RunFile& file,
                               std::int64_t number,
                               std::int64_t sequences) {
  Result<data::Manifest> manifest = data::read_manifest(files, folder);
  if (!manifest) return std::move(manifest).error();
  if (manifest->digest != digest)
    return data_error(fmt::format("{} holds other data than the run's", folder.string()),
                      "prepare the same text with the same options again");
  Result<data::TokenPool> pool = data::TokenPool::open(files, folder, *manifest, data::Split::val);
  if (!pool) return std::move(pool).error();
  if (Result<void> intact = pool->verify(); !intact) return std::move(intact).error();
  const std::int64_t context = file.spec.context;
  const std::int64_t windows =
      std::min(sequences, data::usable_tokens(pool->tokens(), context) / context);
  if (windows < 1)
    return data_error(
        fmt::format("{} holds out no window of {} + 1 tokens", folder.string(), context),
        "prepare it with held-out text");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(windows * context + 1));
  pool->copy(0, tokens);
  return SourceText{.data = digest,
                    .windows = Windows(std::move(tokens),
                                       context,
                                       {.source = number,
                                        .sources = run::sources_of(file.spec),
                                        .end_token = manifest->end_token})};
}

Result<std::vector<SourceText>> open_sources(Files& files,
                                             const run::RunFile& file,
                                             std::int64_t sequences) {
  std::vector<SourceText> sources;
  const auto add = [&](const Path& folder, const std::string& digest) -> Result<void> {
    Result<SourceText> text =
        open_source(files, folder, digest, file, std::ssize(sources), sequences);
    if (!text) return std::move(text).error();
    sources.push_back(std::move(*text));
    return {};
  };
  if (Result<void> done = add(file.execution.data, file.spec.data_digest); !done)
    return std::move(done).error();
  if (!run::has_aux(file.spec)) return sources;
  std::map<std::string, Path> folders;
  for (std::string_view list = file.execution.aux_data; !list.empty();) {
    const std::size_t end = std::min(list.find(':'), list.size());
    const Path folder = std::string(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    Result<data::Manifest> manifest = data::read_manifest(files, folder);
    if (!manifest) return std::move(manifest).error();
    folders[manifest->digest] = folder;
  }
  const Result<std::vector<run::AuxSource>> aux = run::parse_aux(file.spec.aux);
  if (!aux) return aux.error();
  for (const run::AuxSource& source : *aux) {
    if (!folders.contains(source.data_digest))
      return data_error(
          fmt::format("no folder of aux_data holds data with digest {}", source.data_digest),
          "name its folder: aux_data=FOLDER:FOLDER");
    if (Result<void> done = add(folders[source.data_digest], source.data_digest); !done)
      return std::move(done).error();
  }
  return sources;
}

}  // namespace

Json expert_report(const Model& model,
                   const run::RunSpec& spec,
                   const std::vector<SourceText>& sources) {
  std::vector<std::int64_t> numbers;  // of the layers with experts
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    if (run::has_experts(spec, layer)) numbers.push_back(layer);
  std::vector<RoutedUnits> units(numbers.size(), RoutedUnits{.experts = spec.experts});
  const WindowLosses usual = read_all(model, sources, nullptr, &units);

  Json layers = Json::array();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Json json = routing_report(units[i], sources.size());
    const std::vector<std::vector<Increase>> ablation =
        ablation_of(model, spec, sources, usual, units[i], numbers[i]);
    const std::optional<bool> specialised = is_specialised(units[i], ablation);
    json["layer"] = numbers[i];
    json["specialised"] = specialised ? Json(*specialised) : Json();
    json["ablation"] = table_of(ablation, &Increase::mean);
    json["ablation_error"] = table_of(ablation, &Increase::error);
    layers.push_back(std::move(json));
  }
  Json about = Json::array();
  for (std::size_t s = 0; s < sources.size(); ++s)
    about.push_back({{"data", sources[s].data},
                     {"windows", sources[s].windows.count()},
                     {"loss_nats", mean_of(usual[s])}});
  Json report = {{"sources", std::move(about)}, {"layers", std::move(layers)}};
  if (sources.size() > 1) report["swap"] = swaps(model, spec, sources, units, usual);
  return report;
}

std::optional<RoutingSummary> routing_summary(const Model& model,
                                              const run::RunSpec& spec,
                                              const Windows& windows,
                                              std::int64_t sequences) {
  if (!is_routed_at_evaluation(spec)) return std::nullopt;
  const c10::InferenceMode no_gradients;
  std::vector<std::uint32_t> first(static_cast<std::size_t>(std::min(sequences, windows.count())));
  std::iota(first.begin(), first.end(), 0U);
  const Batch batch = windows.batch(first);
  const Model::Routings routings =
      model.routings(batch.inputs, {.sources = batch.sources, .end_token = batch.end_token});
  RoutingSummary summary;
  for (const Routing& routing : routings.layers) {
    RoutedUnits units{.experts = spec.experts};
    add_units(routing, routings.places, 0, 0, units);
    summary.units = units.units();
    if (const double entropy = mean_entropy(units); std::isfinite(entropy))
      summary.entropies.push_back(entropy);
  }
  return summary;
}

WorkerOutcome write_experts(const ScoreOptions& options,
                            Surroundings& world,
                            const std::function<void(const std::string&)>& say) {
  Files& files = world.files;
  std::vector<std::string> settings = options.settings;
  Result<std::int64_t> sequences = take_sequences(settings, kSequences);
  if (!sequences) return failed(WorkerExit::usage, std::move(sequences).error());
  Result<NamedCheckpoint> named = find_checkpoint(files, options.checkpoint);
  if (!named) return failed(WorkerExit::usage, std::move(named).error());
  Result<run::RunFile> file = read_run(files, named->run, settings);
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  const run::RunSpec& spec = file->spec;
  if (!is_routed_at_evaluation(spec))
    return failed(WorkerExit::usage,
                  {.kind = ErrorKind::usage,
                   .what = fmt::format("router \"{}\" chooses nothing at evaluation", spec.router),
                   .hint = "name a run with another router"});
  Result<std::vector<SourceText>> sources = open_sources(files, *file, *sequences);
  if (!sources) return failed(WorkerExit::data, std::move(sources).error());

  at::set_num_threads(static_cast<int>(file->execution.threads));
  Model model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  Result<FoundCheckpoint> found = load_weights(files, *named, *file, model.parameters(), say);
  if (!found) return failed(WorkerExit::data, std::move(found).error());
  const std::string checkpoint =
      CheckpointName{.attempt = found->attempt, .step = found->step}.text();
  say(fmt::format("experts of {} of run {} on {} sources", checkpoint, file->id, sources->size()));
  Json report = expert_report(model, spec, *sources);
  if (report["layers"][0]["units"] == 0)
    say(
        fmt::format("nothing of this text is routed: its documents are shorter than expert_chunk = "
                    "{}, and all experts compute it alike",
                    spec.expert_chunk));
  for (Json& layer : report["layers"])
    layer["cosines"] = cosines_of(model, spec, layer["layer"].get<std::int64_t>());
  report["schema"] = "ration.experts/1";
  report["run"] = file->id;
  report["checkpoint"] = checkpoint;
  report["router"] = spec.router;
  report["experts"] = spec.experts;
  report["permutations"] = kPermutations;
  Result<std::string> text = canonical_json(report);
  if (!text)
    return failed(WorkerExit::data,
                  data_error("the checkpoint's losses are not finite",
                             "take an earlier checkpoint of the run"));
  if (Result<void> done = files.write_whole(options.output, *text + "\n"); !done)
    return failed(WorkerExit::other, std::move(done).error());
  say(fmt::format("wrote {}", options.output.string()));
  return {.exit = WorkerExit::done};
}

}  // namespace ration::train::experts
