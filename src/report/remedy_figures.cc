#include "report/remedy_figures.h"

#include <fmt/format.h>

#include "report/vega.h"

namespace ration::report {
namespace {

Json rows_of(const plan::PriceList& list) {
  Json rows = Json::array();
  for (const plan::PriceRow& row : list.rows) {
    std::vector<std::string> flags;
    for (const plan::Flag flag : row.flags) flags.emplace_back(plan::name_of(flag));
    const double epochs = row.baseline.tokens / row.baseline.unique;
    rows.push_back({{"remedy", fmt::format("{} ({:.3g} epochs)", row.arm, epochs)},
                    {"size", row.size},
                    {"m", rounded(row.multiplier.value)},
                    {"low", rounded(row.multiplier.low.value_or(row.multiplier.value))},
                    {"high", rounded(row.multiplier.high.value_or(row.multiplier.value))},
                    {"claim", row.claimed() ? "claimed" : "not claimed"},
                    {"flags", fmt::format("{}", fmt::join(flags, ", "))}});
  }
  return rows;
}

Json layer(Json mark, Json encoding) {
  return {{"mark", std::move(mark)}, {"encoding", std::move(encoding)}};
}

}  // namespace

Figure forest_figure(const plan::PriceList& list) {
  const Json remedy = {{"field", "remedy"}, {"type", "nominal"}, {"title", ""}, {"sort", nullptr}};
  const Json claim = {{"field", "claim"},
                      {"type", "nominal"},
                      {"title", ""},
                      {"scale", {{"domain", {"claimed", "not claimed"}}, {"range", {1, 0.35}}}}};
  Json low = axis("low", "times the unique tokens", true);
  low["scale"]["zero"] = false;
  Json point = axis("m", "times the unique tokens", true);
  const Json tips = Json::array({{{"field", "remedy"}},
                                 {{"field", "m"}},
                                 {{"field", "low"}},
                                 {{"field", "high"}},
                                 {{"field", "flags"}}});
  const Json one =
      layer({{"type", "rule"}, {"strokeDash", {4, 4}}, {"color", "gray"}}, {{"x", {{"datum", 1}}}});
  const Json interval = layer({{"type", "rule"}},
                              {{"y", remedy},
                               {"x", low},
                               {"x2", {{"field", "high"}}},
                               {"opacity", claim},
                               {"tooltip", tips}});
  const Json mark = layer({{"type", "point"}, {"filled", true}, {"size", 60}},
                          {{"y", remedy}, {"x", point}, {"opacity", claim}, {"tooltip", tips}});
  Json panel = {{"width", 420}, {"layer", Json::array({one, interval, mark})}};
  return {
      .name = "remedies",
      .caption = fmt::format(
          "What each remedy is worth, in times the unique tokens, with {:g} % intervals: right "
          "of 1 it is better than repetition that costs as much. Faint ones are not "
          "claimed; an interval without an end stops at its point.",
          100 * list.level),
      .spec = top_level(
          {{"data", {{"values", rows_of(list)}}},
           {"facet",
            {{"row", {{"field", "size"}, {"type", "nominal"}, {"title", ""}, {"sort", nullptr}}}}},
           {"resolve", {{"scale", {{"y", "independent"}}}}},
           {"spec", std::move(panel)}},
          "Multipliers of the unique tokens for each remedy with intervals")};
}

}  // namespace ration::report
