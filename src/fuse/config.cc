#include "fuse/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "fuse/table_reader.h"

namespace ration::fuse {
namespace {

using Reader = TableReader;
constexpr std::array<std::string_view, 3> kOthers = {"evaluate", "controls", "arm"};
// Operators that join any number of contributions without further files.
const Reader::Words& operators() {
  static const Reader::Words all = {"mean",
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

// The operator, checked as the recipe that it will be.
void read_operator(Reader& read, Config& config, std::vector<Error>& problems) {
  Json recipe = {{"method", "mean"}};
  if (const Json* op = read.find("op")) {
    recipe = op->is_string() ? Json{{"method", *op}} : *op;
    if (!recipe.is_object() || !recipe.contains("method") || !recipe["method"].is_string())
      return read.refuse("op", "is no operator", "op = \"mean\", or op = {method = \"ties\"}");
  }
  const std::string method = recipe["method"];
  if (std::find(operators().begin(), operators().end(), method) == operators().end())
    return read.refuse("op",
                       fmt::format("does not take \"{}\"", method),
                       Reader::nearest_or_all(method, operators()));
  for (const char* const given : {"base", "models", "weights"})
    if (recipe.contains(given))
      return read.refuse("op",
                         fmt::format("has no \"{}\" of its own", given),
                         "the contributors and their weights say it");
  if (method == "mean" || method == "weighted") recipe["method"] = "average";
  recipe["models"] = {"contribution"};
  recipe["base"] = "base";
  Result<merge::Recipe> parsed = merge::parse_recipe(recipe, "op");
  if (!parsed) return problems.push_back(std::move(parsed).error());
  config.op = std::move(*parsed);
}

void read_deadline(Reader& read, Config& config) {
  const Json* value = read.find("deadline_s");
  if (value == nullptr) return;
  const Result<double> seconds = value->is_string() ? parse_quantity(value->get<std::string>(), "s")
                                 : value->is_number() ? Result<double>(value->get<double>())
                                                      : Result<double>(Error{});
  constexpr double kLongest = 1e9;
  if (!seconds || !(*seconds >= 0 && *seconds <= kLongest))
    return read.refuse("deadline_s", "is out of range", "seconds, or \"30m\"; 0 for none");
  config.deadline_s = *seconds;
}

void read_screen(Reader& read, Config& config) {
  read.texts("probe", config.probe);
  const Json* screen = read.find("screen");
  if (screen == nullptr) {
    if (!config.probe.empty()) config.screen.push_back(Check::probe);
  } else if (!screen->is_array()) {
    read.refuse("screen", "is no list", "screen = [\"format\", \"norm\"], or []");
  } else {
    config.screen.clear();
    for (const Json& item : *screen) {
      Check check{};
      if (read.one_word("screen", item, check)) config.screen.push_back(check);
    }
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
  const auto asks = [&](Check check) {
    return std::find(config.screen.begin(), config.screen.end(), check) != config.screen.end();
  };
  if (config.probe.empty() && (asks(Check::probe) || asks(Check::leave_one_out) || config.rollback))
    read.refuse("probe",
                "is needed by screen = [\"probe\"], \"leave_one_out\" and rollback",
                "name folders of prepared data that nobody trains on: probe = [\"data/probe\"]");
}

bool is_name(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest && text[0] != '_' && text[0] != '.' &&
         text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
                  c == '-';
         });
}

std::optional<Contributor> read_contributor(const Json& table,
                                            std::size_t place,
                                            std::vector<Error>& problems) {
  const std::string title = fmt::format("[[fuse.contributor]] {}: ", place + 1);
  if (!table.is_object()) {
    problems.push_back({.kind = ErrorKind::usage, .what = title + "is no table"});
    return std::nullopt;
  }
  Reader read(table, title, problems);
  Contributor contributor;
  read.text("id", contributor.id);
  read.text("data", contributor.data);
  read.number("weight", 1e-9, 1e9, contributor.weight);
  read.flag("external", contributor.external);
  if (!is_name(contributor.id))
    read.refuse("id",
                table.contains("id") ? "is no name" : "is missing",
                "letters, digits, `_`, `.` and `-`, at most 64, the first a letter or digit");
  if (contributor.external) {
    read.whole("tokens", 0, std::int64_t{1} << 53, contributor.tokens);
    read.refuse_unknown();
  } else {
    // All else is a setting of its runs, which the expansion of their sweep checks.
    for (const auto& [key, value] : table.items())
      if (key != "id" && key != "data" && key != "weight" && key != "external")
        contributor.settings[key] = value;
  }
  return contributor;
}

void read_contributors(Reader& read, Config& config, std::vector<Error>& problems) {
  if (const Json* fixed = read.find("fixed")) {
    if (fixed->is_object())
      config.fixed = *fixed;
    else
      read.refuse("fixed", "is no table", "write [fuse.fixed]");
  }
  const Json* list = read.find("contributor");
  if (list == nullptr || !list->is_array() || list->empty())
    return read.refuse("contributor", "is missing", "write a [[fuse.contributor]] for each");
  for (std::size_t i = 0; i < list->size(); ++i)
    if (std::optional<Contributor> one = read_contributor((*list)[i], i, problems))
      config.contributors.push_back(std::move(*one));
  std::sort(config.contributors.begin(),
            config.contributors.end(),
            [](const Contributor& a, const Contributor& b) { return a.id < b.id; });
  for (std::size_t i = 1; i < config.contributors.size(); ++i)
    if (config.contributors[i].id == config.contributors[i - 1].id)
      read.refuse("contributor",
                  fmt::format("names \"{}\" twice", config.contributors[i].id),
                  "give each an id of its own");
}

// "fail:0.3", "scale:10", "flip", "random", "random:2".
std::optional<Fault> fault_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::optional<Fault::Kind> kind = word_of<Fault::Kind>(text.substr(0, colon));
  if (!kind) return std::nullopt;
  Fault fault{.kind = *kind};
  if (colon == std::string::npos) return fault;
  const Result<double> value = parse_quantity(text.substr(colon + 1), "");
  if (!value || *kind == Fault::Kind::flip) return std::nullopt;
  fault.value = *value;
  if (*kind == Fault::Kind::fail && !(*value >= 0 && *value <= 1)) return std::nullopt;
  return fault;
}

void read_faults(Reader& read, Config& config) {
  const Json* faults = read.find("faults");
  if (faults == nullptr) return;
  if (!faults->is_object())
    return read.refuse("faults", "is no table", "faults = {prose = \"scale:10\"}");
  for (const auto& [id, value] : faults->items()) {
    const bool known = id == "*" || std::any_of(config.contributors.begin(),
                                                config.contributors.end(),
                                                [&](const auto& c) { return c.id == id; });
    if (!known)
      read.refuse("faults", fmt::format("names \"{}\", who is no contributor", id), "or \"*\"");
    const std::optional<Fault> fault =
        value.is_string() ? fault_of(value.get<std::string>()) : std::nullopt;
    if (!fault)
      read.refuse("faults",
                  fmt::format("does not take {}", value.dump()),
                  "\"fail:0.3\", \"scale:10\", \"flip\" or \"random:1\"");
    else
      config.faults[id] = *fault;
  }
}

// What asynchronous arrivals, which change the base one by one, have no use for.
void check_async(Reader& read, const Config& config) {
  if (config.mode != Mode::async) return;
  const auto refuse = [&](bool wrong, const char* key, const char* hint) {
    if (wrong) read.refuse(key, "is for mode = \"sync\"", hint);
  };
  refuse(config.op.method != "average", "op", "async adds each contribution by itself");
  refuse(config.momentum != 0, "momentum", "leave it out");
  refuse(config.clip, "clip", "leave it out");
  refuse(config.rollback, "rollback", "screen = [\"format\", \"norm\", \"probe\"] refuses before");
  refuse(config.deadline_s != 0, "deadline_s", "nothing waits for a contribution that is late");
  refuse(config.weights == Weighting::tokens || config.weights == Weighting::inverse_loss,
         "weights",
         "there is nothing to normalise over; \"given\" or \"uniform\"");
  const auto asks = [&](Check check) {
    return std::find(config.screen.begin(), config.screen.end(), check) != config.screen.end();
  };
  refuse(asks(Check::direction) || asks(Check::leave_one_out),
         "screen",
         "async knows \"format\", \"norm\" and \"probe\"");
}

void check_together(Reader& read, const Config& config) {
  if (config.contributors_per_round > static_cast<std::int64_t>(config.contributors.size()))
    read.refuse("contributors_per_round",
                fmt::format("is {}, of {}",
                            config.contributors_per_round,
                            counted(config.contributors.size(), "contributor")),
                "0 takes all");
  const auto external = std::find_if(config.contributors.begin(),
                                     config.contributors.end(),
                                     [](const Contributor& c) { return c.external; });
  if (external == config.contributors.end()) return;
  if (config.weights == Weighting::inverse_loss)
    read.refuse("weights",
                fmt::format("= \"inverse_loss\" needs a loss of {}", external->id),
                "external contributors send none");
  if (config.weights == Weighting::tokens && external->tokens == 0)
    read.refuse("weights",
                fmt::format("= \"tokens\" needs the tokens of {}", external->id),
                "tokens = 100000 in its [[fuse.contributor]]");
}

Json json_of(const Contributor& contributor) {
  Json json = contributor.settings;
  json["id"] = contributor.id;
  json["weight"] = contributor.weight;
  if (!contributor.data.empty()) json["data"] = contributor.data;
  if (contributor.external) {
    json["external"] = true;
    json["tokens"] = contributor.tokens;
  }
  return json;
}

Json json_of(const merge::Recipe& op) {
  Json json = merge::to_json(op);
  for (const char* const given : {"base", "models", "weights"}) json.erase(given);
  return json;
}

std::string text_of(const Fault& fault) {
  if (fault.kind == Fault::Kind::flip) return "flip";
  return fmt::format("{}:{}", word(fault.kind), fault.value);
}

}  // namespace

std::int64_t Config::least(std::int64_t n) const {
  const double share = std::ceil(quorum * static_cast<double>(n) - 1e-9);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(share));
}

Result<Config> parse_config(const Json& table, const std::string& where) {
  if (!table.is_object())
    return Error{.kind = ErrorKind::usage, .what = fmt::format("{}: [fuse] is no table", where)};
  std::vector<Error> problems;
  Reader read(table, "[fuse] ", problems);
  Config config;
  read.text("base", config.base);
  if (config.base.empty() && !table.contains("base"))
    read.refuse("base", "is missing", "base = \"block:NAME\", \"run:ID\" or \"file:PATH\"");
  read.word("mode", config.mode);
  read.whole("rounds", 1, 10'000, config.rounds);
  read.whole("contributors_per_round", 0, 10'000, config.contributors_per_round);
  read.whole("seed", 0, std::int64_t{1} << 53, config.seed);
  read_operator(read, config, problems);
  read.flag("clip", config.clip);
  read.number("eta", 1e-9, 1e9, config.eta);
  read.number("momentum", 0, 0.999999, config.momentum);
  read.word("weights", config.weights);
  read.number("quorum", 1e-9, 1, config.quorum);
  read_deadline(read, config);
  read.word("on_stall", config.on_stall);
  read.whole("max_retries", 0, 1000, config.max_retries);
  read.word("late", config.late);
  read.number("gamma", 0, 1, config.gamma);
  read.whole("staleness_max", 0, 1'000'000, config.staleness_max);
  read_screen(read, config);
  read_contributors(read, config, problems);
  read_faults(read, config);
  check_async(read, config);
  check_together(read, config);
  read.refuse_unknown(kOthers);
  if (problems.empty()) return config;
  return combine(std::move(problems), "[fuse] has several mistakes").with_context(where);
}

Json to_json(const Config& config) {
  Json screen = Json::array(), contributors = Json::array(), faults = Json::object();
  for (const Check check : config.screen) screen.push_back(word(check));
  for (const Contributor& each : config.contributors) contributors.push_back(json_of(each));
  for (const auto& [id, fault] : config.faults) faults[id] = text_of(fault);
  return {{"base", config.base},
          {"mode", word(config.mode)},
          {"rounds", config.rounds},
          {"contributors_per_round", config.contributors_per_round},
          {"seed", config.seed},
          {"op", json_of(config.op)},
          {"clip", config.clip},
          {"eta", config.eta},
          {"momentum", config.momentum},
          {"weights", word(config.weights)},
          {"quorum", config.quorum},
          {"deadline_s", config.deadline_s},
          {"on_stall", word(config.on_stall)},
          {"max_retries", config.max_retries},
          {"late", word(config.late)},
          {"gamma", config.gamma},
          {"staleness_max", config.staleness_max},
          {"screen", std::move(screen)},
          {"norm_z", config.norm_z},
          {"norm_near", config.norm_near},
          {"norm_ratio", config.norm_ratio},
          {"norm_max", config.norm_max},
          {"cosine_min", config.cosine_min},
          {"probe", config.probe},
          {"probe_windows", config.probe_windows},
          {"probe_slack", config.probe_slack},
          {"probe_z", config.probe_z},
          {"rollback", config.rollback},
          {"fixed", config.fixed},
          {"contributor", std::move(contributors)},
          {"faults", std::move(faults)}};
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
