#include "fit/fit_file.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace ration::fit {
namespace {

constexpr std::string_view kSchema = "ration.fit/1";

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const Span& span) { return {{"low", span.low}, {"high", span.high}}; }

Json to_json(const Estimate& e) {
  return {{"value", e.value},
          {"low", optional_number(e.low)},
          {"high", optional_number(e.high)},
          {"fixed", e.fixed},
          {"at_bound", e.at_bound},
          {"identified", e.identified},
          {"sandwich_error", optional_number(e.sandwich_error)},
          {"least_squares_error", optional_number(e.least_squares_error)},
          {"profile_low", optional_number(e.profile_low)},
          {"profile_high", optional_number(e.profile_high)}};
}

Json named(const Law& law, const std::vector<double>& values) {
  Json object = Json::object();
  for (std::size_t j = 0; j < values.size(); ++j)
    object[std::string(law.parameters()[j].name)] = values[j];
  return object;
}

Json draws_to_json(const Law& law, const std::vector<Coordinates>& draws) {
  Json rows = Json::array();
  for (const Coordinates& draw : draws) {
    Json row = Json::array();
    for (std::size_t j = 0; j < draw.size(); ++j) row.push_back(law.parameters()[j].value(draw[j]));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json bootstrap_to_json(const Fit& fit) {
  Json names = Json::array();
  for (const Parameter& parameter : fit.law->parameters()) names.push_back(parameter.name);
  return {{"resamples", fit.draws.size()},
          {"seed", fit.seed},
          {"order", names},
          {"draws", draws_to_json(*fit.law, fit.draws)}};
}

Json minima_to_json(const Law& law, const std::vector<NearMinimum>& minima) {
  Json rows = Json::array();
  for (const NearMinimum& m : minima)
    rows.push_back({{"objective", m.objective}, {"parameters", named(law, m.values)}});
  return rows;
}

// Reads members and keeps the first problem, so that the reading code stays straight.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  double number(const Json& object, const std::string& key, double fallback = NAN) {
    if (!object.is_object() || !object.contains(key)) return missing(key, fallback);
    if (!object[key].is_number()) return wrong(key, "a number"), 0;
    return object[key].get<double>();
  }
  std::string text(const Json& object, const std::string& key, const std::string& fallback) {
    if (!object.is_object() || !object.contains(key)) return fallback;
    if (!object[key].is_string()) return wrong(key, "a text"), fallback;
    return object[key].get<std::string>();
  }
  std::optional<double> optional(const Json& object, const std::string& key) {
    if (!object.is_object() || !object.contains(key) || object[key].is_null()) return std::nullopt;
    return number(object, key);
  }
  bool truth(const Json& object, const std::string& key, bool fallback) {
    if (!object.is_object() || !object.contains(key)) return fallback;
    if (!object[key].is_boolean()) return wrong(key, "true or false"), fallback;
    return object[key].get<bool>();
  }
  Span span(const Json& object, const std::string& key) {
    const Json inner = member(object, key);
    if (inner.is_null()) return {};
    return {number(inner, "low", 0), number(inner, "high", 0)};
  }
  Json member(const Json& object, const std::string& key) {
    return object.is_object() && object.contains(key) ? object[key] : Json(nullptr);
  }
  double missing(const std::string& key, double fallback) {
    if (std::isnan(fallback)) note(fmt::format("\"{}\" is missing", key));
    return fallback;
  }
  void wrong(const std::string& key, std::string_view wanted) {
    note(fmt::format("\"{}\" is not {}", key, wanted));
  }
  void note(std::string what) {
    if (problem_) return;
    problem_ = Error{.kind = ErrorKind::input,
                     .what = "not a usable fit: " + std::move(what),
                     .hint = "`ration fit … -o FILE` writes such a file",
                     .where = SourceRef{.file = file_}};
  }
  const std::optional<Error>& problem() const { return problem_; }

 private:
  std::string file_;
  std::optional<Error> problem_;
};

void read_parameters(const Json& document, Reader& reader, Fit& fit) {
  const Json parameters = reader.member(document, "parameters");
  if (!parameters.is_object()) return reader.note("\"parameters\" is missing");
  for (const Parameter& parameter : fit.law->parameters()) {
    const std::string name(parameter.name);
    if (!parameters.contains(name))
      return reader.note(fmt::format("the law {} needs the parameter {}", fit.law->name(), name));
    const Json& entry = parameters[name];
    Estimate e{.name = name,
               .value = reader.number(entry, "value"),
               .low = reader.optional(entry, "low"),
               .high = reader.optional(entry, "high"),
               .fixed = reader.truth(entry, "fixed", false),
               .at_bound = reader.truth(entry, "at_bound", false),
               .identified = reader.truth(entry, "identified", true),
               .sandwich_error = reader.optional(entry, "sandwich_error"),
               .least_squares_error = reader.optional(entry, "least_squares_error"),
               .profile_low = reader.optional(entry, "profile_low"),
               .profile_high = reader.optional(entry, "profile_high")};
    if (!std::isfinite(parameter.coordinate(e.value)))
      return reader.note(fmt::format("{} cannot be {}", name, e.value));
    fit.parameters.push_back(std::move(e));
  }
}

// The member "minima" of a fit or of a candidate.
std::vector<NearMinimum> read_minima(const Json& object, const Law& law, Reader& reader) {
  std::vector<NearMinimum> minima;
  for (const Json& entry : reader.member(object, "minima")) {
    NearMinimum minimum{.objective = reader.number(entry, "objective")};
    for (const Parameter& parameter : law.parameters())
      minimum.values.push_back(
          reader.number(reader.member(entry, "parameters"), std::string(parameter.name)));
    minima.push_back(std::move(minimum));
  }
  return minima;
}

// The member "draws" of a fit's bootstrap or of a candidate.
std::vector<Coordinates> read_draws(const Json& object, const Law& law, Reader& reader) {
  std::vector<Coordinates> draws;
  std::size_t number = 0;
  for (const Json& row : reader.member(object, "draws")) {
    ++number;
    Coordinates draw;
    if (!row.is_array() || row.size() != law.size()) {
      reader.note(fmt::format("bootstrap draw {} does not hold {} numbers", number, law.size()));
      break;
    }
    for (std::size_t j = 0; j < row.size(); ++j) {
      const double value = row[j].is_number() ? row[j].get<double>() : NAN;
      draw.push_back(law.parameters()[j].coordinate(value));
      if (!std::isfinite(draw.back()))
        reader.note(fmt::format("bootstrap draw {} holds an impossible value", number));
    }
    draws.push_back(std::move(draw));
  }
  return draws;
}

void read_profiles(const Json& document, Reader& reader, Fit& fit) {
  const Json profiles = reader.member(document, "profiles");
  const auto numbers = [&](const Json& profile, const std::string& key) {
    std::vector<double> values;
    for (const Json& value : reader.member(profile, key))
      if (value.is_number())
        values.push_back(value.get<double>());
      else
        reader.wrong(key, "numbers");
    return values;
  };
  for (const Estimate& e : fit.parameters) {
    const Json entry = reader.member(profiles, e.name);
    if (!entry.is_null())
      fit.profiles.push_back({e.name, numbers(entry, "values"), numbers(entry, "objectives")});
  }
}

Json to_json(const Candidate& candidate) {
  Json extrapolations = Json::object();
  for (const Extrapolation& e : candidate.extrapolations)
    extrapolations[e.axis] = {{"runs", e.runs},
                              {"mean_error", e.mean_error},
                              {"bias", e.bias},
                              {"choices", e.choices},
                              {"regret", e.choices > 0 ? Json(e.regret) : Json(nullptr)}};
  std::vector<double> values;
  for (std::size_t j = 0; j < candidate.x.size(); ++j)
    values.push_back(candidate.law->parameters()[j].value(candidate.x[j]));
  return {{"law", candidate.law->name()},
          {"parameters", named(*candidate.law, values)},
          {"objective", candidate.objective},
          {"aic", candidate.aic},
          {"bic", candidate.bic},
          {"distance", candidate.distance},
          {"extrapolation", extrapolations},
          {"minima", minima_to_json(*candidate.law, candidate.minima)},
          {"draws", draws_to_json(*candidate.law, candidate.draws)}};
}

void read_candidates(const Json& document, Reader& reader, Fit& fit) {
  for (const Json& entry : reader.member(document, "candidates")) {
    Candidate candidate{.law = find_law(reader.text(entry, "law", ""))};
    if (candidate.law == nullptr) return reader.note("a candidate's law is unknown");
    for (const Parameter& parameter : candidate.law->parameters())
      candidate.x.push_back(parameter.coordinate(
          reader.number(reader.member(entry, "parameters"), std::string(parameter.name))));
    candidate.objective = reader.number(entry, "objective", 0);
    candidate.aic = reader.number(entry, "aic", 0);
    candidate.bic = reader.number(entry, "bic", 0);
    candidate.distance = reader.number(entry, "distance", 0);
    const Json errors = reader.member(entry, "extrapolation");
    for (const char* axis : {"compute", "epochs", "N/U", "level"})
      if (const Json e = reader.member(errors, axis); !e.is_null())
        candidate.extrapolations.push_back({axis,
                                            static_cast<int>(reader.number(e, "runs", 0)),
                                            reader.number(e, "mean_error", 0),
                                            reader.number(e, "bias", 0),
                                            static_cast<int>(reader.number(e, "choices", 0)),
                                            reader.optional(e, "regret").value_or(0)});
    candidate.minima = read_minima(entry, *candidate.law, reader);
    candidate.draws = read_draws(entry, *candidate.law, reader);
    fit.candidates.push_back(std::move(candidate));
  }
}

// One row a run: params, tokens, unique tokens, loss, weight.
Json observations_to_json(const Fit& fit) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < fit.observed.size(); ++i)
    rows.push_back({std::exp(fit.observed.log_params[i]),
                    std::exp(fit.observed.log_tokens[i]),
                    std::exp(fit.observed.log_unique[i]),
                    std::exp(fit.observed_log_loss[i]),
                    fit.observed_weights[i]});
  return rows;
}

void read_observations(const Json& document, Reader& reader, Fit& fit) {
  for (const Json& row : reader.member(document, "observations")) {
    std::array<double, 5> values{};
    for (std::size_t k = 0; k < values.size(); ++k) {
      const bool number = row.is_array() && row.size() == values.size() && row[k].is_number();
      values[k] = number ? row[k].get<double>() : NAN;
      if (!(values[k] > 0)) return reader.note("an observation is not five numbers above 0");
    }
    fit.observed.add(Params(values[0]), Tokens(values[1]), Tokens(values[2]));
    fit.observed_log_loss.push_back(std::log(values[3]));
    fit.observed_weights.push_back(values[4]);
  }
}

void read_doubts(const Json& document, Reader& reader, Fit& fit) {
  for (const Json& entry : reader.member(document, "doubts"))
    fit.doubts.push_back({reader.text(entry, "subject", ""),
                          reader.text(entry, "what", ""),
                          reader.truth(entry, "fatal", false)});
  if (!reader.truth(document, "trusted", true) && fit.trusted())
    fit.doubts.push_back({"fit", "marked as not trusted", true});
}

}  // namespace

Json to_json(const Fit& fit) {
  Json parameters = Json::object();
  for (const Estimate& e : fit.parameters) parameters[e.name] = to_json(e);
  Json doubts = Json::array();
  for (const Doubt& d : fit.doubts)
    doubts.push_back({{"subject", d.subject}, {"what", d.what}, {"fatal", d.fatal}});
  Json candidates = Json::array();
  for (const Candidate& candidate : fit.candidates) candidates.push_back(to_json(candidate));
  Json profiles = Json::object();
  for (const Profile& profile : fit.profiles)
    profiles[profile.name] = {{"values", profile.values}, {"objectives", profile.objectives}};
  return {{"schema", kSchema},
          {"law", fit.law->name()},
          {"formula", fit.law->formula()},
          {"source", fit.source},
          {"runs", fit.runs},
          {"cells", fit.cells},
          {"delta", std::isinf(fit.delta) ? Json(nullptr) : Json(fit.delta)},
          {"asymmetry", fit.asymmetry},
          {"objective", fit.objective},
          {"residual_rms", fit.residual_rms},
          {"interval", fit.interval},
          {"parameters", parameters},
          {"params_convention", fit.params_convention},
          {"minima", minima_to_json(*fit.law, fit.minima)},
          {"search",
           {{"starts", fit.search.starts},
            {"agree", fit.search.agree},
            {"failed", fit.search.failed},
            {"stopped", fit.search.stopped},
            {"promised_fall", fit.search.promised_fall},
            {"condition", fit.search.condition}}},
          {"range",
           {{"params", to_json(fit.range.params)},
            {"tokens", to_json(fit.range.tokens)},
            {"unique_tokens", to_json(fit.range.unique_tokens)},
            {"epochs", to_json(fit.range.epochs)},
            {"flops", to_json(fit.range.flops)}}},
          {"doubts", doubts},
          {"trusted", fit.trusted()},
          {"profiles", profiles},
          {"candidates", candidates},
          {"observations", observations_to_json(fit)},
          {"bootstrap", bootstrap_to_json(fit)}};
}

Result<Fit> fit_from_json(const Json& document, const std::string& file) {
  Reader reader(file);
  const std::string schema = reader.text(document, "schema", "");
  if (schema != kSchema) {
    reader.note(fmt::format("its schema is \"{}\", not \"{}\"", schema, kSchema));
    return *reader.problem();
  }
  const std::string law = reader.text(document, "law", "");
  Fit fit{.law = find_law(law)};
  if (fit.law == nullptr) {
    reader.note(fmt::format("unknown law \"{}\"{}", law, [&] {
      const std::string hint = did_you_mean(law, law_names());
      return hint.empty() ? hint : "; " + hint;
    }()));
    return *reader.problem();
  }
  read_parameters(document, reader, fit);
  read_profiles(document, reader, fit);
  read_observations(document, reader, fit);
  read_candidates(document, reader, fit);
  fit.runs = static_cast<int>(reader.number(document, "runs", 0));
  fit.cells = static_cast<int>(reader.number(document, "cells", 0));
  fit.delta = reader.optional(document, "delta").value_or(HUGE_VAL);
  fit.asymmetry = reader.number(document, "asymmetry", 1);
  fit.objective = reader.number(document, "objective", 0);
  fit.residual_rms = reader.number(document, "residual_rms", 0);
  fit.interval = reader.number(document, "interval", 0.9);
  if (!(fit.interval > 0 && fit.interval < 1))
    reader.note(fmt::format("its interval is {:g}, not between 0 and 1", fit.interval));
  for (std::size_t j = 0; j < fit.parameters.size(); ++j) {
    const Parameter& parameter = fit.law->parameters()[j];
    const double at = parameter.coordinate(fit.parameters[j].value);
    constexpr double kSlack = 1e-6;  // values are written with all digits, bounds are coordinates
    if (!fit.parameters[j].fixed &&
        !(at >= parameter.lower - kSlack && at <= parameter.upper + kSlack))
      reader.note(fmt::format(
          "its {} is {:g}, beyond what a fit gives", parameter.name, fit.parameters[j].value));
  }
  fit.params_convention = reader.text(document, "params_convention", "as given");
  fit.source = reader.text(document, "source", "");
  const Json range = reader.member(document, "range");
  fit.range = {reader.span(range, "params"),
               reader.span(range, "tokens"),
               reader.span(range, "unique_tokens"),
               reader.span(range, "epochs"),
               reader.span(range, "flops")};
  fit.minima = read_minima(document, *fit.law, reader);
  const Json bootstrap = reader.member(document, "bootstrap");
  fit.seed = static_cast<std::uint64_t>(reader.number(bootstrap, "seed", 0));
  fit.draws = read_draws(bootstrap, *fit.law, reader);
  read_doubts(document, reader, fit);
  if (reader.problem()) return *reader.problem();
  return fit;
}

}  // namespace ration::fit
