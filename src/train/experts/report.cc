#include "train/experts/report.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

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

// The units of a batch that were routed by something; its first sequence has the number `first`.
void add_units(const Routing& routing,
               const Places& places,
               std::int64_t source,
               std::int64_t first,
               RoutedUnits& units) {
  if (!routing.weights.defined()) return;  // sequences too short
  const at::Tensor weights = routing.weights.to(at::kDouble).contiguous();
  const auto* row = weights.const_data_ptr<double>();
  const bool* known = places.known.defined() ? places.known.const_data_ptr<bool>() : nullptr;
  for (std::int64_t b = 0; b < weights.size(0); ++b)
    for (std::int64_t u = 0; u < weights.size(1); ++u, row += units.experts) {
      if (known != nullptr && !*known++) continue;
      units.weights.insert(units.weights.end(), row, row + units.experts);
      units.sources.push_back(source);
      units.sequences.push_back(first + b);
    }
}

// One pass over all sources: the mean loss of each, and, where `layers` is given, how its units are
// routed by each layer with experts.
std::vector<double> read_all(const Model& model,
                             const std::vector<SourceText>& sources,
                             const Intervention* intervention,
                             std::vector<RoutedUnits>* layers) {
  const c10::InferenceMode no_gradients;
  std::vector<double> losses;
  std::int64_t sequence = 0;
  for (std::size_t source = 0; source < sources.size(); ++source) {
    const Windows& windows = sources[source].windows;
    const std::int64_t most = std::max<std::int64_t>(1, kTokensAtOnce / windows.context());
    double sum = 0;
    for (std::int64_t first = 0; first < windows.count(); first += most) {
      const std::int64_t count = std::min(most, windows.count() - first);
      std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
      std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
      const Batch batch = windows.batch(order);
      const Model::Routings routings = model.routings(
          batch.inputs, {.sources = batch.sources, .end_token = batch.end_token}, intervention);
      sum += model.loss_sum(routings.logits, batch.targets).item<double>();
      for (std::size_t i = 0; layers != nullptr && i < routings.layers.size(); ++i)
        add_units(routings.layers[i],
                  routings.places,
                  static_cast<std::int64_t>(source),
                  sequence,
                  (*layers)[i]);
      sequence += count;
    }
    losses.push_back(sum / static_cast<double>(windows.count() * windows.context()));
  }
  return losses;
}

// What each source loses, beyond `usual`.
std::vector<double> increases(const Model& model,
                              const std::vector<SourceText>& sources,
                              const std::vector<double>& usual,
                              const Intervention& intervention) {
  std::vector<double> more = read_all(model, sources, &intervention, nullptr);
  for (std::size_t s = 0; s < more.size(); ++s) more[s] -= usual[s];
  return more;
}

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

Json layer_report(const RoutedUnits& units, std::size_t sources) {
  Json by_source = Json::array();
  for (std::size_t s = 0; s < sources; ++s)
    by_source.push_back(mean_weights(units, static_cast<std::int64_t>(s)));
  Json json = {{"units", units.units()},
               {"entropy", mean_entropy(units)},
               {"collapsed", is_collapsed(units)},
               {"uniform", is_uniform(units)},
               {"mean", mean_weights(units)},
               {"mean_by_source", std::move(by_source)}};
  if (const double found = normalised_information(units); std::isfinite(found)) {
    json["information"] = found;
    json["information_p"] = information_p_value(units, kPermutations, 0);
  }
  return json;
}

// Each source routed with the mean weights of each other one, in all layers: [source][other].
Json swaps(const Model& model,
           const run::RunSpec& spec,
           const std::vector<SourceText>& sources,
           const std::vector<RoutedUnits>& layers,
           const std::vector<double>& usual) {
  Json matrix = Json::array();
  for (std::size_t s = 0; s < sources.size(); ++s) matrix.push_back(Json::array());
  for (std::size_t other = 0; other < sources.size(); ++other) {
    Intervention as_other{.weights = at::zeros({spec.layers, spec.experts}, at::kDouble)};
    std::size_t number = 0;
    for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
      if (!run::has_experts(spec, layer)) continue;
      const std::vector<double> mean =
          mean_weights(layers[number++], static_cast<std::int64_t>(other));
      as_other.weights[layer].copy_(at::tensor(mean, at::kDouble));
    }
    const std::vector<double> more = increases(model, sources, usual, as_other);
    for (std::size_t s = 0; s < sources.size(); ++s) matrix[s].push_back(more[s]);
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

// Takes "sequences=N" out of the settings.
Result<std::int64_t> take_sequences(std::vector<std::string>& settings) {
  std::int64_t sequences = kSequences;
  for (const std::string& word : settings) {
    if (name_of_setting(word) != "sequences") continue;
    const std::string_view number =
        std::string_view(word).substr(std::min(word.size(), sizeof("sequences")));
    const auto [end, code] =
        std::from_chars(number.data(), number.data() + number.size(), sequences);
    if (code != std::errc() || end != number.data() + number.size() || sequences < 1)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("\"{}\" is no number of sequences", word),
                   .hint = "write sequences=256: a whole number from 1 on"};
  }
  std::erase_if(settings,
                [](const std::string& word) { return name_of_setting(word) == "sequences"; });
  return sequences;
}

}  // namespace

Json expert_report(const Model& model,
                   const run::RunSpec& spec,
                   const std::vector<SourceText>& sources) {
  std::vector<std::int64_t> numbers;  // of the layers with experts
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    if (run::has_experts(spec, layer)) numbers.push_back(layer);
  std::vector<RoutedUnits> units(numbers.size(), RoutedUnits{.experts = spec.experts});
  const std::vector<double> usual = read_all(model, sources, nullptr, &units);

  Json layers = Json::array();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Json json = layer_report(units[i], sources.size());
    std::vector<std::vector<double>> ablation(sources.size());
    for (std::int64_t e = 0; e < spec.experts && spec.experts > 1; ++e) {
      const Intervention without{.layer = numbers[i], .without = e};
      const std::vector<double> more = increases(model, sources, usual, without);
      for (std::size_t s = 0; s < sources.size(); ++s) ablation[s].push_back(more[s]);
    }
    json["layer"] = numbers[i];
    json["specialised"] = is_specialised(ablation);
    json["ablation"] = std::move(ablation);
    layers.push_back(std::move(json));
  }
  Json about = Json::array();
  for (std::size_t s = 0; s < sources.size(); ++s)
    about.push_back({{"data", sources[s].data},
                     {"windows", sources[s].windows.count()},
                     {"loss_nats", usual[s]}});
  Json report = {{"sources", std::move(about)}, {"layers", std::move(layers)}};
  if (sources.size() > 1) report["swap"] = swaps(model, spec, sources, units, usual);
  return report;
}

std::vector<double> routing_entropies(const Model& model,
                                      const run::RunSpec& spec,
                                      const Windows& windows,
                                      std::int64_t sequences) {
  if (!run::has_experts(spec) || (!run::reads_states(spec) && !run::reads_sources(spec))) return {};
  const c10::InferenceMode no_gradients;
  std::vector<std::uint32_t> first(static_cast<std::size_t>(std::min(sequences, windows.count())));
  std::iota(first.begin(), first.end(), 0U);
  const Batch batch = windows.batch(first);
  const Model::Routings routings =
      model.routings(batch.inputs, {.sources = batch.sources, .end_token = batch.end_token});
  std::vector<double> entropies;
  for (const Routing& routing : routings.layers) {
    RoutedUnits units{.experts = spec.experts};
    add_units(routing, routings.places, 0, 0, units);
    entropies.push_back(mean_entropy(units));
  }
  return entropies;
}

WorkerOutcome write_experts(const ScoreOptions& options,
                            Surroundings& world,
                            const std::function<void(const std::string&)>& say) {
  Files& files = world.files;
  std::vector<std::string> settings = options.settings;
  Result<std::int64_t> sequences = take_sequences(settings);
  if (!sequences) return failed(WorkerExit::usage, std::move(sequences).error());
  Result<NamedCheckpoint> named = find_checkpoint(files, options.checkpoint);
  if (!named) return failed(WorkerExit::usage, std::move(named).error());
  Result<run::RunFile> file = read_run(files, named->run, settings);
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  const run::RunSpec& spec = file->spec;
  const bool routes = run::reads_states(spec) || run::reads_sources(spec);
  if (!run::has_experts(spec) || !routes)
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
