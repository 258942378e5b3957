// The document ration.remedies/1: writing and reading.

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "plan/remedies/json_parts.h"
#include "plan/remedies/price.h"

namespace ration::plan {
namespace {

constexpr std::string_view kSchema = "ration.remedies/1";

Json setting_json(const Setting& setting) {
  return {{"params", setting.params.value},
          {"tokens", setting.tokens.value},
          {"unique", setting.unique.value}};
}

Json effective_json(const Effective& effective) {
  return {{"unique", effective.unique.value},
          {"multiplier", effective.multiplier},
          {"saturated", effective.saturated},
          {"slope", effective.slope},
          {"fresh", effective.fresh ? Json(effective.fresh->value) : Json(nullptr)},
          {"epochs", effective.epochs ? Json(effective.epochs->value) : Json(nullptr)}};
}

Json pays_json(const std::optional<Pays>& pays) {
  if (!pays) return nullptr;
  return {{"anywhere", pays->anywhere},
          {"from", optional_json(pays->from)},
          {"until", optional_json(pays->until)},
          {"by_law", pays->by_law},
          {"measured_low", pays->measured_low},
          {"measured_high", pays->measured_high}};
}

Json row_json(const PriceRow& row) {
  Json flags = Json::array(), draws = Json::array(), with_donors = Json::array();
  for (const Flag flag : row.flags) flags.push_back(name_of(flag));
  for (const double draw : row.draws) draws.push_back(finite_json(draw));
  for (const double draw : row.draws_with_donors) with_donors.push_back(finite_json(draw));
  return {{"arm", row.arm},
          {"kind", name_of(row.kind)},
          {"family", row.family},
          {"size", row.size},
          {"baseline", setting_json(row.baseline)},
          {"pairs", row.pairs},
          {"delta", amount_json(row.delta)},
          {"delta_t", amount_json(row.delta_t)},
          {"p", row.p},
          {"p_holm", row.p_holm},
          {"compute", row.compute},
          {"charged_flops", row.charged.value},
          {"donors_flops", row.donors.value},
          {"loss", row.loss},
          {"gain", amount_json(row.gain)},
          {"effective", effective_json(row.effective)},
          {"multiplier", amount_json(row.multiplier)},
          {"unique", amount_json(row.unique)},
          {"fresh", amount_json(row.fresh)},
          {"epochs", amount_json(row.epochs)},
          {"compute_multiplier", optional_json(row.compute_multiplier)},
          {"log_error", finite_json(row.log_error)},
          {"first_order_error", finite_json(row.first_order_error)},
          {"seeds_needed", row.seeds_needed ? Json(*row.seeds_needed) : Json(nullptr)},
          {"compute_with_donors", optional_json(row.compute_with_donors)},
          {"multiplier_with_donors", amount_json(row.multiplier_with_donors)},
          {"kept", optional_json(row.kept)},
          {"quality", amount_json(row.quality)},
          {"share", optional_json(row.share)},
          {"worth", amount_json(row.worth)},
          {"task", amount_json(row.task)},
          {"task_unique", amount_json(row.task_unique)},
          {"pays", pays_json(row.pays)},
          {"flags", std::move(flags)},
          {"claimed", row.claimed()},
          {"log_multiplier_draws", std::move(draws)},
          {"log_multiplier_with_donors_draws", std::move(with_donors)}};
}

Json curve_json(const MixingCurve& curve) {
  return {{"family", curve.family},
          {"size", curve.size},
          {"baseline", setting_json(curve.baseline)},
          {"shares", curve.shares},
          {"worths", curve.worths},
          {"at_zero", amount_json(curve.at_zero)},
          {"scale", amount_json(curve.scale)},
          {"best_share", amount_json(curve.best_share)},
          {"best_multiplier", optional_json(curve.best_multiplier)}};
}

Json interaction_json(const Interaction& interaction) {
  return {{"arm", interaction.arm},
          {"size", interaction.size},
          {"baseline", setting_json(interaction.baseline)},
          {"parts", interaction.parts},
          {"value", amount_json(interaction.value)},
          {"multiplies", interaction.multiplies}};
}

Json sizes_json(const Sizes& sizes) {
  return {{"arm", sizes.arm},
          {"sizes", sizes.sizes},
          {"params", sizes.params},
          {"multipliers", sizes.multipliers},
          {"slope", amount_json(sizes.slope)},
          {"agree", sizes.agree}};
}

Json crossing_json(const Crossing& crossing) {
  return {{"arm", crossing.arm},
          {"size", crossing.size},
          {"tokens", crossing.tokens},
          {"multipliers", crossing.multipliers},
          {"crossing", amount_json(crossing.crossing)}};
}

template <class Values, class Write>
Json array_of(const Values& values, const Write& write) {
  Json rows = Json::array();
  for (const auto& value : values) rows.push_back(write(value));
  return rows;
}

// Members by their paths. nlohmann's exceptions say which one is missing or of another type; they
// end in price_list_from_json().
double number(const Json& value) { return value.is_null() ? NAN : value.get<double>(); }
std::optional<double> optional_of(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}
Amount amount_of_json(const Json& value) {
  return {number(value.at("value")), optional_of(value.at("low")), optional_of(value.at("high"))};
}
std::optional<Amount> optional_amount(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(amount_of_json(value));
}
Setting setting_of(const Json& value) {
  return {Params(value.at("params").get<double>()),
          Tokens(value.at("tokens").get<double>()),
          Tokens(value.at("unique").get<double>())};
}
double error_of(const Json& value) { return value.is_null() ? HUGE_VAL : value.get<double>(); }

Effective effective_of(const Json& value) {
  Effective effective{.unique = Tokens(value.at("unique").get<double>()),
                      .multiplier = value.at("multiplier").get<double>(),
                      .saturated = value.at("saturated").get<bool>(),
                      .slope = value.at("slope").get<double>()};
  if (const auto fresh = optional_of(value.at("fresh"))) effective.fresh = Tokens(*fresh);
  if (const auto epochs = optional_of(value.at("epochs"))) effective.epochs = Epochs(*epochs);
  return effective;
}

std::optional<Pays> pays_of(const Json& value) {
  if (value.is_null()) return std::nullopt;
  return Pays{.anywhere = value.at("anywhere").get<bool>(),
              .from = optional_of(value.at("from")),
              .until = optional_of(value.at("until")),
              .by_law = value.at("by_law").get<bool>(),
              .measured_low = value.at("measured_low").get<double>(),
              .measured_high = value.at("measured_high").get<double>()};
}

// Throws what price_list_from_json() turns into an error, as it does nlohmann's exceptions.
template <class Named, class Find>
Named named(const Json& value, const Find& find) {
  const auto text = value.get<std::string>();
  if (const auto found = find(text)) return *found;
  throw std::invalid_argument(fmt::format("\"{}\" is not known", text));
}

PriceRow row_of(const Json& v) {
  PriceRow row{.arm = v.at("arm").get<std::string>(),
               .kind = named<RemedyKind>(v.at("kind"), remedy_kind),
               .family = v.at("family").get<std::string>(),
               .size = v.at("size").get<std::string>(),
               .baseline = setting_of(v.at("baseline")),
               .pairs = v.at("pairs").get<int>(),
               .delta = amount_of_json(v.at("delta")),
               .delta_t = amount_of_json(v.at("delta_t")),
               .p = v.at("p").get<double>(),
               .p_holm = v.at("p_holm").get<double>(),
               .compute = v.at("compute").get<double>(),
               .charged = Flops(v.at("charged_flops").get<double>()),
               .donors = Flops(v.at("donors_flops").get<double>()),
               .loss = v.at("loss").get<double>(),
               .gain = amount_of_json(v.at("gain")),
               .effective = effective_of(v.at("effective")),
               .multiplier = amount_of_json(v.at("multiplier")),
               .unique = amount_of_json(v.at("unique")),
               .fresh = amount_of_json(v.at("fresh")),
               .epochs = amount_of_json(v.at("epochs")),
               .compute_multiplier = optional_of(v.at("compute_multiplier")),
               .log_error = error_of(v.at("log_error")),
               .first_order_error = error_of(v.at("first_order_error")),
               .compute_with_donors = optional_of(v.at("compute_with_donors")),
               .multiplier_with_donors = optional_amount(v.at("multiplier_with_donors")),
               .kept = optional_of(v.at("kept")),
               .quality = optional_amount(v.at("quality")),
               .share = optional_of(v.at("share")),
               .worth = optional_amount(v.at("worth")),
               .task = optional_amount(v.at("task")),
               .task_unique = optional_amount(v.at("task_unique")),
               .pays = pays_of(v.at("pays"))};
  if (!v.at("seeds_needed").is_null()) row.seeds_needed = v.at("seeds_needed").get<std::int64_t>();
  for (const Json& flag : v.at("flags")) row.flags.push_back(named<Flag>(flag, flag_of));
  for (const Json& draw : v.at("log_multiplier_draws")) row.draws.push_back(error_of(draw));
  for (const Json& draw : v.at("log_multiplier_with_donors_draws"))
    row.draws_with_donors.push_back(error_of(draw));
  return row;
}

// Throws where plans could not count with the row.
void check_row(const PriceRow& row, std::size_t draws, std::size_t place) {
  const auto positive = [&](const char* what, double value) {
    if (!(value > 0) || !std::isfinite(value))
      throw std::invalid_argument(
          fmt::format("rows[{}].{} = {} is no finite number above 0", place, what, value));
  };
  positive("compute", row.compute);
  positive("compute_with_donors", row.compute_with_donors.value_or(1));
  positive("pairs", row.pairs);
  positive("charged_flops", row.charged.value);
  positive("effective.multiplier", row.effective.multiplier);
  positive("multiplier", row.multiplier.value);
  positive("baseline.params", row.baseline.params.value);
  positive("baseline.tokens", row.baseline.tokens.value);
  positive("baseline.unique", row.baseline.unique.value);
  if (row.draws.empty() || row.draws.size() != draws ||
      (!row.draws_with_donors.empty() && row.draws_with_donors.size() != draws))
    throw std::invalid_argument(fmt::format("rows[{}] has another number of draws", place));
}

MixingCurve curve_of(const Json& v) {
  return {.family = v.at("family").get<std::string>(),
          .size = v.at("size").get<std::string>(),
          .baseline = setting_of(v.at("baseline")),
          .shares = v.at("shares").get<std::vector<double>>(),
          .worths = v.at("worths").get<std::vector<double>>(),
          .at_zero = optional_amount(v.at("at_zero")),
          .scale = optional_amount(v.at("scale")),
          .best_share = optional_amount(v.at("best_share")),
          .best_multiplier = optional_of(v.at("best_multiplier"))};
}

Interaction interaction_of(const Json& v) {
  return {.arm = v.at("arm").get<std::string>(),
          .size = v.at("size").get<std::string>(),
          .baseline = setting_of(v.at("baseline")),
          .parts = v.at("parts").get<std::vector<std::string>>(),
          .value = amount_of_json(v.at("value")),
          .multiplies = v.at("multiplies").get<bool>()};
}

Sizes sizes_of(const Json& v) {
  return {.arm = v.at("arm").get<std::string>(),
          .sizes = v.at("sizes").get<std::vector<std::string>>(),
          .params = v.at("params").get<std::vector<double>>(),
          .multipliers = v.at("multipliers").get<std::vector<double>>(),
          .slope = amount_of_json(v.at("slope")),
          .agree = v.at("agree").get<bool>()};
}

Crossing crossing_of(const Json& v) {
  return {.arm = v.at("arm").get<std::string>(),
          .size = v.at("size").get<std::string>(),
          .tokens = v.at("tokens").get<std::vector<double>>(),
          .multipliers = v.at("multipliers").get<std::vector<double>>(),
          .crossing = optional_amount(v.at("crossing"))};
}

}  // namespace

Json to_json(const PriceList& list) {
  return {{"schema", kSchema},
          {"law", list.law},
          {"fit", list.fit},
          {"baseline", list.baseline},
          {"level", list.level},
          {"params_convention", list.params_convention},
          {"rows", array_of(list.rows, row_json)},
          {"mixing", array_of(list.curves, curve_json)},
          {"interactions", array_of(list.interactions, interaction_json)},
          {"sizes", array_of(list.sizes, sizes_json)},
          {"crossings", array_of(list.crossings, crossing_json)},
          {"notes", list.notes},
          {"assumptions", assumptions(list)}};
}

Result<PriceList> price_list_from_json(const Json& document, const std::string& file) {
  const auto unusable = [&](std::string what) {
    return Error{.kind = ErrorKind::input,
                 .what = "not a usable price list: " + std::move(what),
                 .hint = "`ration remedies … --json` writes such a document",
                 .where = SourceRef{.file = file}};
  };
  if (!document.is_object() || !document.contains("schema") || document["schema"] != kSchema)
    return unusable(fmt::format("its schema is not {}", kSchema));
  try {
    PriceList list{.law = document.at("law").get<std::string>(),
                   .fit = document.at("fit").get<std::string>(),
                   .baseline = document.at("baseline").get<std::string>(),
                   .level = document.at("level").get<double>(),
                   .params_convention = document.at("params_convention").get<std::string>(),
                   .notes = document.at("notes").get<std::vector<std::string>>()};
    if (!(list.level > 0 && list.level < 1))
      throw std::invalid_argument("level is not within 0 and 1");
    if (!document.at("rows").is_array() || document["rows"].empty())
      throw std::invalid_argument("rows is no list with a row");
    for (const Json& v : document["rows"]) {
      list.rows.push_back(row_of(v));
      check_row(list.rows.back(), list.rows.front().draws.size(), list.rows.size() - 1);
    }
    for (const Json& v : document.at("mixing")) list.curves.push_back(curve_of(v));
    for (const Json& v : document.at("interactions"))
      list.interactions.push_back(interaction_of(v));
    for (const Json& v : document.at("sizes")) list.sizes.push_back(sizes_of(v));
    for (const Json& v : document.at("crossings")) list.crossings.push_back(crossing_of(v));
    return list;
  } catch (const std::exception& problem) {
    return unusable(problem.what());
  }
}

}  // namespace ration::plan
