#include "study/fusion/page.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "report/vega.h"

namespace ration::study {
namespace {

using report::axis;
using report::rounded;

Json arm_color(const FusionStudy& study) {
  return {{"field", "arm"}, {"type", "nominal"}, {"title", "arm"}, {"sort", arms_in_order(study)}};
}

// Means over corpora and seeds, by arm, group of corpora, and round.
Json round_rows(const FusionStudy& study, const FusionFindings& found) {
  std::map<std::tuple<std::string, Corpora, std::int64_t>, std::vector<double>> losses;
  std::set<std::string> arms;
  for (const FusionArm& arm : study.arms) arms.insert(arm.name);
  for (const FusionLoss& loss : found.losses)
    if (loss.measure == Measure::zero_step && arms.contains(loss.arm))
      losses[{loss.arm, loss.seen ? Corpora::seen : Corpora::unseen, loss.round}].push_back(
          loss.loss);
  Json rows = Json::array();
  for (const auto& [key, values] : losses)
    rows.push_back({{"arm", std::get<0>(key)},
                    {"corpora", name(std::get<1>(key))},
                    {"round", std::get<2>(key)},
                    {"loss", rounded(mean(values))}});
  return rows;
}

report::Figure rounds_figure(const FusionStudy& study, const FusionFindings& found) {
  Json x = axis("round", "round", false);
  x["axis"]["tickMinStep"] = 1;
  const Json spec = {{"data", {{"values", round_rows(study, found)}}},
                     {"facet", {{"column", {{"field", "corpora"}, {"title", nullptr}}}}},
                     {"spec",
                      {{"width", 320},
                       {"height", 300},
                       {"mark", {{"type", "line"}, {"point", true}}},
                       {"encoding",
                        {{"x", std::move(x)},
                         {"y", axis("loss", "zero-step loss (nats a token)", false)},
                         {"color", arm_color(study)}}}}}};
  return {.name = "rounds",
          .caption =
              "Held-out loss of each round's base as it is, the mean over corpora and "
              "seeds; round 0 is the base that all arms begin with.",
          .spec = report::top_level(spec, "Loss of the base by round, a line an arm")};
}

// Student's interval over seeds of the gain over theta_0 on each corpus.
Json gain_rows(const FusionStudy& study, const FusionFindings& found, Measure measure) {
  std::map<std::pair<std::string, std::int64_t>, double> start;
  std::map<std::tuple<std::string, std::string, std::int64_t>, const FusionLoss*> last;
  for (const FusionLoss& loss : found.losses) {
    if (loss.measure != measure) continue;
    if (loss.arm == kNoFusion) start[{loss.corpus, loss.seed}] = loss.loss;
    const FusionLoss*& at = last[{loss.arm, loss.corpus, loss.seed}];
    if (at == nullptr || at->round <= loss.round) at = &loss;
  }
  std::map<std::pair<std::string, std::string>, std::vector<double>> gains;
  for (const auto& [key, loss] : last)
    if (const auto from = start.find({loss->corpus, loss->seed});
        loss->arm != kNoFusion && from != start.end() && std::isfinite(from->second - loss->loss))
      gains[{loss->arm, loss->corpus + (loss->seen ? "" : " (unseen)")}].push_back(from->second -
                                                                                   loss->loss);
  Json rows = Json::array();
  for (const std::string& arm : arms_in_order(study))
    for (const auto& [key, values] : gains) {
      if (key.first != arm) continue;
      const Estimate estimate = paired_t(values);
      rows.push_back({{"arm", arm},
                      {"corpus", key.second},
                      {"gain", rounded(estimate.value)},
                      {"low", rounded(estimate.low)},
                      {"high", rounded(estimate.high)}});
    }
  return rows;
}

// Points with intervals, one row of the figure for each of `rows`' `field`.
Json intervals(Json rows, Json y, const char* title, Json color, bool offset) {
  Json encoding = {{"y", std::move(y)}};
  if (!color.is_null()) encoding["color"] = color;
  if (offset) encoding["yOffset"] = {{"field", "arm"}, {"sort", color["sort"]}};
  Json bar = encoding, point = encoding, zero;
  bar["x"] = axis("low", title, false);
  bar["x2"] = {{"field", "high"}};
  point["x"] = axis("gain", title, false);
  zero = {{"mark", {{"type", "rule"}, {"strokeDash", {4, 4}}, {"color", "#888"}}},
          {"encoding", {{"x", {{"datum", 0}}}}}};
  return {{"data", {{"values", std::move(rows)}}},
          {"width", 460},
          {"height", {{"step", offset ? 9 : 22}}},
          {"layer",
           {zero,
            {{"mark", {{"type", "rule"}, {"opacity", 0.6}}}, {"encoding", std::move(bar)}},
            {{"mark", {{"type", "point"}, {"filled", true}, {"size", 30}}},
             {"encoding", std::move(point)}}}}};
}

report::Figure gains_figure(const FusionStudy& study,
                            const FusionFindings& found,
                            Measure measure) {
  const Json y = {{"field", "corpus"}, {"type", "nominal"}, {"title", nullptr}};
  const Json spec = intervals(gain_rows(study, found, measure),
                              y,
                              "gain over the base without fusion (nats a token)",
                              arm_color(study),
                              true);
  return {.name = fmt::format("gains-{}", measure == Measure::fine_tuned ? "tuned" : "as-they-are"),
          .caption = fmt::format("{} gain over theta_0 on each corpus with Student's 95 % interval "
                                 "over seeds; right of 0 is better.",
                                 name(measure)),
          .spec = report::top_level(spec, "Gain by corpus and arm with intervals")};
}

report::Figure against_figure(const FusionFindings& found, Measure measure) {
  Json rows = Json::array();
  for (const FusionTest& test : found.tests)
    if (test.question == "against" && test.measure == measure && test.group == Corpora::all)
      rows.push_back({{"pair", test.arm + " − " + test.other},
                      {"gain", rounded(-test.nested.value)},
                      {"low", rounded(-test.nested.high)},
                      {"high", rounded(-test.nested.low)}});
  const Json y = {{"field", "pair"}, {"type", "nominal"}, {"title", nullptr}, {"sort", nullptr}};
  const Json spec =
      intervals(std::move(rows), y, "difference of losses (nats a token)", Json(), false);
  return {
      .name = fmt::format("against-{}", measure == Measure::fine_tuned ? "tuned" : "as-they-are"),
      .caption = fmt::format("{} loss of arms less that of the arm that they are against, all "
                             "corpora, 95 % nested bootstrap; right of 0 is worse.",
                             name(measure)),
      .spec = report::top_level(spec, "Differences between arms with intervals")};
}

bool any_against(const FusionFindings& found, Measure measure) {
  for (const FusionTest& test : found.tests)
    if (test.question == "against" && test.measure == measure) return true;
  return false;
}

report::Table tests_of_question(const FusionFindings& found, const std::string& question) {
  DataTable table = tests_table(found);
  std::erase_if(table.rows, [&](const tables::Row& row) {
    return std::get<std::string>(row.front()) != question;
  });
  return page_table(table, 3);
}

}  // namespace

report::Page fusion_page(const std::string& name,
                         const FusionStudy& study,
                         const FusionFindings& found) {
  report::Page page{.title = name + ": fusion against controls at equal tokens", .sections = {}};
  report::Section arms{
      .title = "Arms",
      .paragraphs = {"Means over corpora and seeds of the last base of each arm, in nats a token; "
                     "`none` is the base that all begin with. The controls train on as many tokens "
                     "as the first arm."},
      .tables = {page_table(arms_table(study, found))},
      .figures = {}};
  report::Section gains{
      .title = "Gains",
      .paragraphs = {"Above 0 the arm is better. Intervals: 95 %, corpora drawn and then seeds "
                     "within each (low, high), or corpora and seeds drawn on their own (crossed), "
                     "which is right where a seed moves all corpora. p_holm corrects p for the "
                     "arms and controls of one measure. An interval that holds 0 shows no gain."},
      .tables = {tests_of_question(found, "gain")},
      .figures = {}};
  for (const Measure measure : {Measure::fine_tuned, Measure::zero_step})
    if (study.evaluate.wants(measure)) gains.figures.push_back(gains_figure(study, found, measure));
  report::Section rounds{.title = "Rounds",
                         .paragraphs = {"The slope of the zero-step loss in rounds, nats a token "
                                        "and round; below 0 the base gets better."},
                         .tables = {tests_of_question(found, "slope")},
                         .figures = {}};
  if (study.evaluate.wants(Measure::zero_step))
    rounds.figures.push_back(rounds_figure(study, found));
  page.sections = {std::move(arms), std::move(gains), std::move(rounds)};
  report::Section against{
      .title = "Arms against arms",
      .paragraphs = {"value_nats below 0: the arm has the higher loss. standard_errors: how much "
                     "higher its mean loss is, in standard errors over seeds of the other arm's."},
      .tables = {tests_of_question(found, "against")},
      .figures = {}};
  for (const Measure measure : {Measure::zero_step, Measure::fine_tuned})
    if (any_against(found, measure)) against.figures.push_back(against_figure(found, measure));
  if (!against.figures.empty()) page.sections.push_back(std::move(against));
  return page;
}

}  // namespace ration::study
