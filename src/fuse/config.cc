#include "fuse/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/table_reader.h"
#include "fuse/config_parts.h"
#include "fuse/words.h"

namespace ration::fuse {
namespace {

constexpr std::array kOfExperiments = {"evaluate", "controls", "arm"};

// Operators that join any number of contributions without further files.
const TableReader::Texts& operators() {
  static const TableReader::Texts all = {"mean",
                                         "average",
                                         "weighted",
                                         "task_arithmetic",
                                         "ties",
                                         "dare_linear",
                                         "dare_ties",
                                         "median",
                                         "trimmed_mean"};
  return all;
}

// A word that stands for a value of T.
template <class T>
void read_word(TableReader& read, const std::string& key, T& target) {
  std::string text = word(target);
  read.choice(key, words<T>(), text);
  target = word_of<T>(text).value_or(target);
}

// The operator, checked as the recipe that it will be.
void read_operator(TableReader& read,
                   const std::string& where,
                   Config& config,
                   std::vector<Error>& problems) {
  Json recipe = {{"method", "mean"}};
  if (const Json* op = read.find("op")) {
    recipe = op->is_string() ? Json{{"method", *op}} : *op;
    if (!recipe.is_object() || !recipe.contains("method") || !recipe["method"].is_string())
      return read.refuse("op", "is no operator", "op = \"mean\", or op = {method = \"ties\"}");
  }
  const std::string method = recipe["method"];
  if (std::find(operators().begin(), operators().end(), method) == operators().end())
    return read.refuse("op",
                       fmt::format("= \"{}\" is no operator of rounds", method),
                       nearest_or_all(method, operators()));
  for (const char* const given : {"base", "models", "weights"})
    if (recipe.contains(given))
      return read.refuse("op",
                         fmt::format("has no \"{}\" of its own", given),
                         "the contributors and their weights say it");
  if (method == "mean" || method == "weighted") recipe["method"] = "average";
  recipe["models"] = {"contribution"};
  recipe["base"] = "base";
  Result<merge::Recipe> parsed = merge::parse_recipe(recipe, where + ": [fuse] op");
  if (!parsed) return problems.push_back(std::move(parsed).error());
  config.op = std::move(*parsed);
}

void read_screen(TableReader& read, Config& config) {
  read.texts("probe", config.probe);
  if (read.find("screen") != nullptr) {
    TableReader::Texts checks;
    read.choices("screen", words<Check>(), checks);
    config.screen.clear();
    for (const std::string& check : checks) config.screen.push_back(*word_of<Check>(check));
  } else if (!config.probe.empty()) {
    config.screen.push_back(Check::probe);
  }
  read.number("norm_z", 0, 1e6, config.norm_z);
  read.number("norm_near", 1, 1e6, config.norm_near);
  read.number("norm_ratio", 1, 1e6, config.norm_ratio);
  read.number("norm_max", 0, 1e6, config.norm_max);
  read.number("cosine_min", -1, 1, config.cosine_min);
  read.whole("probe_windows", 2, 1'000'000, config.probe_windows);
  read.number("probe_slack", 0, 1e6, config.probe_slack);
  read.number("probe_z", 0, 1e6, config.probe_z);
  config.rollback = !config.probe.empty() && config.mode == Mode::sync;
  read.flag("rollback", config.rollback);
  if (config.probe.empty() &&
      (config.asks(Check::probe) || config.asks(Check::leave_one_out) || config.rollback))
    read.refuse("probe",
                "is needed by screen = [\"probe\"], \"leave_one_out\" and rollback",
                "name folders of prepared data that nobody trains on: probe = [\"data/probe\"]");
}

Result<Config> read_table(const Json& table, const std::string& where, bool of_a_person) {
  if (!table.is_object())
    return Error{.kind = ErrorKind::usage, .what = fmt::format("{}: [fuse] is no table", where)};
  std::vector<Error> problems;
  TableReader read(table, where, "[fuse]", problems);
  Config config;
  read.text("base", config.base);
  if (config.base.empty() && !table.contains("base"))
    read.refuse("base", "is missing", "base = \"block:NAME\", \"run:ID\" or \"file:PATH\"");
  read_word(read, "mode", config.mode);
  read.whole("rounds", 1, 10'000, config.rounds);
  read.whole("contributors_per_round", 0, 10'000, config.contributors_per_round);
  read.whole("seed", 0, std::int64_t{1} << 53, config.seed);
  read_operator(read, where, config, problems);
  read.flag("clip", config.clip);
  read.number("eta", 1e-9, 1e9, config.eta);
  read.number("momentum", 0, 0.999999, config.momentum);
  read_word(read, "weights", config.weights);
  read.number("quorum", 1e-9, 1, config.quorum);
  read.number("deadline_s", 0, 1e9, config.deadline_s, "s");  // 0: none
  read_word(read, "on_stall", config.on_stall);
  read.whole("max_retries", 0, 1000, config.max_retries);
  read_word(read, "late", config.late);
  read.number("gamma", 0, 1, config.gamma);
  read.whole("staleness_max", 0, 1'000'000, config.staleness_max);
  read_screen(read, config);
  read_contributors(read, where, config, problems);
  read_faults(read, config);
  check_async(read, config);
  check_together(read, config);
  if (of_a_person) check_effects(read, config);
  for (const char* key : kOfExperiments) read.find(key);  // which read them, and we do not
  read.refuse_unknown();
  if (problems.empty()) return config;
  return combine(std::move(problems), where + ": [fuse] has several mistakes");
}

}  // namespace

bool Config::asks(Check check) const {
  return std::find(screen.begin(), screen.end(), check) != screen.end();
}

std::int64_t Config::least(std::int64_t n) const {
  const double share = std::ceil(quorum * static_cast<double>(n) - 1e-9);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(share));
}

Result<Config> parse_config(const Json& table, const std::string& where) {
  return read_table(table, where, true);
}

Result<Config> stored_config(const Json& table, const std::string& where) {
  return read_table(table, where, false);
}

std::vector<std::size_t> chosen(const Config& config, std::int64_t round) {
  std::vector<std::size_t> places(config.contributors.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  if (config.contributors_per_round == 0) return places;
  const std::vector<std::uint32_t> order =
      permutation(static_cast<std::uint32_t>(places.size()),
                  Stream(config.seed, StreamId::contributors, static_cast<std::uint64_t>(round)));
  places.assign(order.begin(), order.begin() + config.contributors_per_round);
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace ration::fuse
