// The page of a study of merging, and the tables for people.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/vega.h"
#include "study/merge/output.h"

namespace ration::study {
namespace {

using report::rounded;

std::string with_interval(const Estimate& estimate) {
  return study::with_interval(estimate.value, estimate.low, estimate.high);
}

std::string plain(double value, int decimals = 3) {
  return std::isnan(value) ? "–" : fmt::format("{:.{}f}", value, decimals);
}

// Lines over the number of models, with their intervals.
Json lines_with_bands(const Json& rows, const char* y_title, const char* description) {
  const Json x = {{"field", "models"}, {"type", "quantitative"}, {"title", "models merged"}};
  const Json y = report::axis("value", y_title, false);
  Json low = y;
  low["field"] = "low";
  const Json color = {{"field", "line"}, {"type", "nominal"}, {"title", nullptr}};
  Json spec = {
      {"width", 480},
      {"height", 300},
      {"data", {{"values", rows}}},
      {"layer",
       {{{"mark", {{"type", "area"}, {"opacity", 0.12}}},
         {"encoding", {{"x", x}, {"y", low}, {"y2", {{"field", "high"}}}, {"color", color}}}},
        {{"mark", {{"type", "line"}, {"point", true}}},
         {"encoding", {{"x", x}, {"y", y}, {"color", color}}}}}}};
  return report::top_level(std::move(spec), description);
}

report::Figure recovered_figure(const MergeReport& report, const std::string& variant) {
  Json rows = Json::array();
  for (const MergeSummary& each : report.summaries)
    if (each.variant == variant || (each.variant == "trained" && variant == "chosen"))
      rows.push_back({{"models", each.size},
                      {"line", each.label},
                      {"value", rounded(each.recovered.value)},
                      {"low", rounded(each.recovered.low)},
                      {"high", rounded(each.recovered.high)}});
  return {.name = "recovered-" + variant,
          .caption = variant == "chosen"
                         ? "Share of the own training's gain that a merged model keeps, "
                           "hyper-parameters chosen on other windows; bands are 95 % intervals."
                         : "The same with published hyper-parameters.",
          .spec = lines_with_bands(
              rows, "recovered share R", "Recovered share against the number of models merged")};
}

// Mean of each kind of conflict by size.
std::map<std::int64_t, std::pair<double, double>> conflicts_by_size(const MergeReport& report) {
  std::map<std::int64_t, std::pair<double, double>> sums;
  std::map<std::int64_t, double> counts;
  for (const MergeConflict& each : report.mechanism->conflicts) {
    const std::int64_t size = report.outcome.subsets[each.subset].size;
    sums[size].first += each.share;
    sums[size].second += each.trimmed;
    ++counts[size];
  }
  for (auto& [size, sum] : sums) {
    sum.first /= counts[size];
    sum.second /= counts[size];
  }
  return sums;
}

// Signs that are drawn like coins conflict in this share of the coordinates.
double chance(std::int64_t models) { return 1 - std::pow(2, 1 - static_cast<double>(models)); }

report::Figure conflict_figure(const MergeReport& report) {
  Json rows = Json::array();
  const auto add = [&](std::int64_t size, const char* line, double value) {
    rows.push_back({{"models", size}, {"line", line}, {"value", rounded(value)}});
  };
  for (const auto& [size, shares] : conflicts_by_size(report)) {
    add(size, "all entries", shares.first);
    add(size, "largest 20 % of each", shares.second);
    add(size, "signs by chance", chance(size));
  }
  return {.name = "conflict-share",
          .caption = "Share of the coordinates where two of the changes have opposite signs.",
          .spec = lines_with_bands(rows,
                                   "share of the coordinates",
                                   "Conflicts of signs against the number of models merged")};
}

// Sizes whose choice has the least or greatest lambda that was tried; other members end where their
// meaning does.
std::string sizes_at_the_edge(const MergeReport& report, const MergeMethod& method) {
  std::vector<double> tried;
  for (const Json& members : method.trials)
    if (members.contains("lambda")) tried.push_back(members["lambda"].get<double>());
  if (tried.empty()) return {};
  const auto [least, greatest] = std::minmax_element(tried.begin(), tried.end());
  std::vector<std::int64_t> sizes;
  for (const MergeChoice& choice : report.outcome.choices) {
    if (choice.label != method.label || *least == *greatest) continue;
    const double chosen = choice.members["lambda"].get<double>();
    if (chosen == *least || chosen == *greatest) sizes.push_back(choice.size);
  }
  return fmt::format("{}", fmt::join(sizes, ", "));
}

}  // namespace

report::Table recovered_table(const MergeReport& report) {
  report::Table table{.header = {"method", "models", "chosen", "loss", "R", "untuned R"},
                      .rows = {}};
  for (const MergeSummary& each : report.summaries) {
    if (each.variant != "chosen" && each.variant != "trained") continue;
    std::string untuned = "–";
    for (const MergeSummary& other : report.summaries)
      if (other.label == each.label && other.size == each.size && other.variant == "untuned")
        untuned = with_interval(other.recovered);
    table.rows.push_back({each.label,
                          fmt::format("{}", each.size),
                          each.members,
                          plain(each.loss),
                          with_interval(each.recovered),
                          untuned});
  }
  return table;
}

report::Table claims_table(const MergeReport& report) {
  report::Table table{
      .header = {"hyper-parameters", "R of", "minus R of", "what", "difference", "p (Holm)"},
      .rows = {}};
  for (const MergeClaim& claim : report.claims)
    table.rows.push_back({claim.variant,
                          claim.method,
                          claim.other,
                          claim.statistic == "mean" ? "mean" : "slope per model",
                          with_interval(claim.difference),
                          plain(claim.holm)});
  return table;
}

report::Table corpora_table(const MergeReport& report) {
  for (const DataTable& table : merge_tables(report))
    if (table.name == "corpora") return page_table(table);
  return {};
}

report::Table mechanism_table(const MergeReport& report) {
  report::Table table{.header = {"what", "models", "value"}, .rows = {}};
  if (!report.mechanism) return table;
  for (const auto& [size, shares] : conflicts_by_size(report))
    table.rows.push_back(
        {"coordinates with opposite signs: all, largest 20 % of each, by chance",
         fmt::format("{}", size),
         fmt::format("{:.3f}, {:.3f}, {:.3f}", shares.first, shares.second, chance(size))});
  std::vector<double> energy;
  for (const std::vector<double>& each : report.mechanism->energy)
    energy.insert(energy.end(), each.begin(), each.end());
  table.rows.push_back(
      {"squared length of a change in its largest 20 %", "1", plain(mean(energy))});
  std::map<std::pair<std::string, double>, std::vector<double>> altered;
  for (const MergeAlteration& each : report.mechanism->alterations)
    altered[{each.what, each.rate}].push_back(each.recovered);
  for (const auto& [key, values] : altered)
    table.rows.push_back(
        {fmt::format(
             "R, {}{}", key.first, key.second < 1 ? fmt::format(" at rate {:g}", key.second) : ""),
         "1",
         plain(mean(values))});
  for (const MergeSummary& each : report.summaries)
    if (each.variant.starts_with("no "))
      table.rows.push_back({fmt::format("R, {} with {}", each.label, each.variant),
                            fmt::format("{}", each.size),
                            with_interval(each.recovered)});
  return table;
}

std::vector<std::string> merge_remarks(const MergeReport& report) {
  std::vector<std::string> remarks;
  for (const MergeMethod& method : report.table.methods) {
    const std::string sizes = sizes_at_the_edge(report, method);
    if (!sizes.empty())
      remarks.push_back(
          fmt::format("{} chose the least or greatest lambda of its grid for {} models: a wider "
                      "grid may do better.",
                      method.label,
                      sizes));
  }
  for (const std::size_t corpus : report.outcome.left_out)
    remarks.push_back(
        fmt::format("{} is left out: its own training gained {:.3f} nats, less than {:g}.",
                    report.models.corpora[corpus],
                    report.outcome.floor.gain(corpus, Half::choose),
                    report.table.min_gain));
  std::int64_t unusable = 0;
  for (const MergeSummary& each : report.summaries)
    if (each.label != "multitask") unusable += each.unusable;
  if (unusable > 0)
    remarks.push_back(
        fmt::format("{} losses of merged models are not finite; means leave them out.", unusable));
  std::size_t shown = 0;
  for (const MergeClaim& claim : report.claims) shown += claim.holm < 0.05 ? 1 : 0;
  if (!report.claims.empty())
    remarks.push_back(
        fmt::format("Of {} comparisons, {} differ from 0 at 5 % after Holm's correction.",
                    report.claims.size(),
                    shown));
  if (report.models.replicas.size() == 1)
    remarks.push_back("There is one replica: intervals hold for these models, not for new seeds.");
  return remarks;
}

report::Page merge_page(const MergeReport& report) {
  report::Page page{.title = fmt::format("Merging: {}", report.name), .sections = {}};
  report::Section recovered{
      .title = "Recovered share", .paragraphs = {}, .tables = {}, .figures = {}};
  recovered.paragraphs = {
      "R = (base loss - merged loss) / (base loss - own loss) on held-out text of each corpus: 1 "
      "is as "
      "good as the model that was trained on that corpus alone, 0 as the base. Hyper-parameters "
      "were "
      "chosen on the first half of the windows, all numbers are of the second. Intervals resample "
      "corpora and seeds."};
  for (std::string& remark : merge_remarks(report))
    recovered.paragraphs.push_back(std::move(remark));
  recovered.tables = {recovered_table(report)};
  recovered.figures = {recovered_figure(report, "chosen"), recovered_figure(report, "untuned")};
  page.sections.push_back(std::move(recovered));
  page.sections.push_back(
      {.title = "Comparisons", .paragraphs = {}, .tables = {claims_table(report)}, .figures = {}});
  page.sections.push_back({.title = "Corpora",
                           .paragraphs = {"Held-out losses in nats a token, means over seeds."},
                           .tables = {corpora_table(report)},
                           .figures = {}});
  if (report.mechanism)
    page.sections.push_back({.title = "Mechanism",
                             .paragraphs = {},
                             .tables = {mechanism_table(report)},
                             .figures = {conflict_figure(report)}});
  return page;
}

}  // namespace ration::study
