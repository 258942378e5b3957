#include "study/fusion/sweeps.h"

#include <fmt/format.h>

#include <set>

#include "base/random.h"

namespace ration::study {
namespace {

// Contributors are drawn by round; their order in a control has a number that no round has.
constexpr std::uint64_t kVisits = ~std::uint64_t{0};

void take_all(Json& settings, const Json& more) {
  for (const auto& [key, value] : more.items()) settings[key] = value;
}

// The settings of a run that trains on `tokens`, of `more` the later ones first.
Json settings_of(const FusionGround& ground,
                 std::initializer_list<const Json*> more,
                 std::int64_t tokens) {
  Json settings = ground.model;
  for (const Json* each : more) take_all(settings, *each);
  settings.erase("epochs");
  settings["tokens"] = tokens;
  return settings;
}

Json beginning(const FusionWeights& start, std::int64_t seed) {
  return {{"init", start.init()}, {"seed", seed}};
}

// As many held-out tokens as the windows that bases are judged by.
std::int64_t held_out_tokens(const FusionGround& ground, std::size_t corpus) {
  return ground.corpora[corpus].held_out.windows * ground.context;
}

Json multitask(const FusionStudy& study,
               const FusionGround& ground,
               const FusionWeights& start,
               std::int64_t seed,
               std::int64_t tokens) {
  const fuse::Config& config = study.arms.front().config;
  const std::size_t n = config.contributors.size();
  Json settings =
      settings_of(ground, {&config.fixed, &config.contributors.front().settings}, tokens);
  take_all(settings, beginning(start, seed));
  settings["val_tokens"] = held_out_tokens(ground, 0);
  if (n > 1) {
    std::string others;
    for (std::size_t i = 1; i < n; ++i) others += fmt::format("{}c{}", i > 1 ? "," : "", i);
    settings["aux"] = others;
    settings["aux_share"] = static_cast<double>(n - 1) / static_cast<double>(n);
  }
  return {{"name", multitask_block(seed)},
          {"data", ground.corpora.front().data},
          {"fixed", std::move(settings)}};
}

// Each contributor's block begins with the model of the one before.
void add_sequential(const FusionStudy& study,
                    const FusionGround& ground,
                    const FusionWeights& start,
                    std::int64_t seed,
                    std::int64_t tokens,
                    Json& blocks) {
  const fuse::Config& config = study.arms.front().config;
  const std::vector<std::uint32_t> order = order_of_visits(config.contributors.size(), seed);
  const std::vector<std::int64_t> parts = shares(tokens, order.size(), ground.context);
  for (std::size_t visit = 0; visit < order.size(); ++visit) {
    if (parts[visit] == 0) continue;  // the last ones alone can be empty
    const fuse::Contributor& contributor = config.contributors[order[visit]];
    Json settings = settings_of(ground, {&config.fixed, &contributor.settings}, parts[visit]);
    take_all(settings, beginning(start, seed));
    settings["val_tokens"] = held_out_tokens(ground, order[visit]);
    if (visit > 0) settings["init"] = "block:" + sequential_block(seed, visit - 1);
    blocks.push_back({{"name", sequential_block(seed, visit)},
                      {"data", ground.corpora[order[visit]].data},
                      {"fixed", std::move(settings)}});
  }
}

// The other contributors as sources of a mixture.
Json sources_of(const FusionStudy& study, const FusionGround& ground) {
  const fuse::Config& config = study.arms.front().config;
  Json sources = Json::object();
  for (std::size_t i = 1; i < config.contributors.size(); ++i) {
    Json source = {{"data", ground.corpora[i].data}};
    Json settings = config.fixed;
    take_all(settings, config.contributors[i].settings);
    if (settings.contains("unique_tokens")) source["unique_tokens"] = settings["unique_tokens"];
    sources[fmt::format("c{}", i)] = std::move(source);
  }
  return sources;
}

}  // namespace

std::string FusionWeights::init() const {
  return weights.run.empty() ? "file:" + file : run::text(weights);
}

std::vector<std::int64_t> shares(std::int64_t tokens, std::size_t parts, std::int64_t context) {
  const std::int64_t sequences = tokens / context, n = static_cast<std::int64_t>(parts);
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < n; ++i)
    found.push_back((sequences / n + (i < sequences % n ? 1 : 0)) * context);
  return found;
}

Result<fuse::Config> one_shot(const fuse::Config& config,
                              std::int64_t tokens,
                              std::int64_t context) {
  fuse::Config once = config;
  const std::vector<std::int64_t> parts = shares(tokens, once.contributors.size(), context);
  if (parts.back() == 0)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} tokens are less than a sequence for each of {} "
                                     "contributors",
                                     tokens,
                                     once.contributors.size()),
                 .hint = "more rounds or tokens, or `one_shot = false` under [fuse.controls]"};
  once.mode = fuse::Mode::sync;
  once.rounds = 1;
  once.contributors_per_round = 0;
  once.faults.clear();
  once.fixed.erase("tokens");
  once.fixed.erase("epochs");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Json& settings = once.contributors[i].settings;
    if (settings.is_null()) settings = Json::object();
    settings.erase("epochs");
    settings["tokens"] = parts[i];
  }
  return once;
}

std::vector<std::uint32_t> order_of_visits(std::size_t contributors, std::int64_t seed) {
  return permutation(static_cast<std::uint32_t>(contributors),
                     Stream(static_cast<std::uint64_t>(seed), StreamId::contributors, kVisits));
}

std::string multitask_block(std::int64_t seed) { return fmt::format("multitask-{}", seed); }

std::string sequential_block(std::int64_t seed, std::size_t visit) {
  return fmt::format("sequential-{}-{}", seed, visit + 1);
}

std::optional<Json> controls_sweep(const FusionStudy& study,
                                   const FusionGround& ground,
                                   const FusionWeights& start,
                                   const std::map<std::int64_t, std::int64_t>& tokens) {
  Json blocks = Json::array();
  for (const auto& [seed, count] : tokens) {
    if (study.controls.multitask) blocks.push_back(multitask(study, ground, start, seed, count));
    if (study.controls.sequential) add_sequential(study, ground, start, seed, count, blocks);
  }
  if (blocks.empty()) return std::nullopt;
  Json sweep = {
      {"name", ground.name + "-controls"}, {"vary_subset", false}, {"block", std::move(blocks)}};
  if (study.controls.multitask)
    if (Json sources = sources_of(study, ground); !sources.empty())
      sweep["sources"] = std::move(sources);
  return sweep;
}

std::string block_of(const TuningJob& job) {
  return fmt::format("c{}-{}", job.corpus, name(job.measure));
}

std::string key_of(const std::string& block, const std::string& weights, std::int64_t seed) {
  return fmt::format("{} {} {}", block, weights, seed);
}

std::string key_of(const TuningJob& job) {
  return key_of(block_of(job), run::text(job.base.weights), job.seed);
}

Json tuning_sweep(const FusionStudy& study,
                  const FusionGround& ground,
                  std::span<const TuningJob> jobs) {
  std::map<std::string, Json> blocks;
  std::set<std::string> known;
  const FusionEvaluation& how = study.evaluate;
  for (const TuningJob& job : jobs) {
    if (!known.insert(key_of(job)).second) continue;
    const auto [at, is_new] = blocks.try_emplace(block_of(job));
    Json& block = at->second;
    if (is_new) {
      const bool few = job.measure == Measure::few_shot;
      Json settings = settings_of(ground,
                                  {&study.arms.front().config.fixed, &how.fixed},
                                  few ? how.few_shot * how.few_epochs : how.tokens);
      settings["val_tokens"] = held_out_tokens(ground, job.corpus);
      if (few) settings["unique_tokens"] = how.few_shot;
      block = {{"name", at->first},
               {"data", ground.corpora[job.corpus].data},
               {"fixed", std::move(settings)},
               {"list", Json::array()}};
    }
    Json row = beginning(job.base, job.seed);
    row["subset_seed"] = job.seed;  // seeds see few-shot texts of their own, arms the same
    block["list"].push_back(std::move(row));
  }
  Json list = Json::array();
  for (auto& [name, block] : blocks) list.push_back(std::move(block));
  return {{"name", ground.name + "-tuned"}, {"vary_subset", false}, {"block", std::move(list)}};
}

}  // namespace ration::study
