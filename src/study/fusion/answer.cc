#include <fmt/format.h>

#include <cmath>

#include "study/fusion/tables.h"

namespace ration::study {
namespace {

std::string interval(const FusionTest* test) {
  if (test == nullptr) return "–";
  std::string text = with_interval(test->nested.value, test->nested.low, test->nested.high);
  if (test->left_out > 0) text += fmt::format(" ({} not finite)", test->left_out);
  return text;
}

std::string score(const FusionTest* test) {
  if (test == nullptr) return "–";
  return fmt::format("{}:{}, p = {:.2g}", test->wins, test->losses, test->sign);
}

// Of each measure that anybody has: gain over theta_0.
void add_gains(const FusionStudy& study, const FusionFindings& found, std::string& text) {
  for (const Measure measure : kMeasures) {
    if (!study.evaluate.wants(measure)) continue;
    report::Table table{.header = {std::string(name(measure)) + " gain over theta_0",
                                   "seen",
                                   "unseen",
                                   "all",
                                   "wins:losses of corpora"},
                        .rows = {}};
    for (const std::string& arm : arms_in_order(study)) {
      if (arm == kNoFusion) continue;
      const auto test = [&](Corpora group) {
        return find_test(found, "gain", arm, std::string(kNoFusion), measure, group);
      };
      if (test(Corpora::all) == nullptr) continue;
      table.rows.push_back({arm,
                            interval(test(Corpora::seen)),
                            interval(test(Corpora::unseen)),
                            interval(test(Corpora::all)),
                            score(test(Corpora::all))});
    }
    if (!table.rows.empty()) text += markdown(table) + "\n";
  }
}

void add_controls(const FusionStudy& study, const FusionFindings& found, std::string& text) {
  report::Table table{
      .header = {"gain over a control", "measure", "seen", "unseen", "all", "wins:losses"},
      .rows = {}};
  for (const FusionTest& test : found.tests) {
    if (test.question != "gain" || test.group != Corpora::all || test.other == kNoFusion) continue;
    const auto of = [&](Corpora group) {
      return find_test(found, "gain", test.arm, test.other, test.measure, group);
    };
    table.rows.push_back({test.arm + " over " + test.other,
                          std::string(name(test.measure)),
                          interval(of(Corpora::seen)),
                          interval(of(Corpora::unseen)),
                          interval(&test),
                          score(&test)});
  }
  if (!table.rows.empty()) text += markdown(table) + "\n";
  table = {.header = {"slope of zero_step, nats a round", "seen", "unseen", "all"}, .rows = {}};
  for (const FusionArm& arm : study.arms) {
    const auto of = [&](Corpora group) {
      return find_test(found, "slope", arm.name, "", Measure::zero_step, group);
    };
    if (of(Corpora::all) == nullptr) continue;
    table.rows.push_back({arm.name,
                          interval(of(Corpora::seen)),
                          interval(of(Corpora::unseen)),
                          interval(of(Corpora::all))});
  }
  if (!table.rows.empty()) text += markdown(table) + "\n";
}

void add_against(const FusionFindings& found, std::string& text) {
  report::Table table{
      .header = {"worse than", "measure", "nats worse, all corpora", "standard errors"},
      .rows = {}};
  for (const FusionTest& test : found.tests) {
    if (test.question != "against" || test.group != Corpora::all) continue;
    const Estimate& gain = test.nested;
    std::string worse = with_interval(0 - gain.value, 0 - gain.high, 0 - gain.low);
    if (test.left_out > 0) worse += fmt::format(" ({} not finite)", test.left_out);
    table.rows.push_back(
        {test.arm + " than " + test.other,
         std::string(name(test.measure)),
         std::move(worse),
         std::isfinite(test.standard_errors) ? fmt::format("{:+.1f}", test.standard_errors) : "–"});
  }
  if (!table.rows.empty()) text += markdown(table) + "\n";
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json json_of(const FusionTest& test) {
  return {{"question", test.question},
          {"arm", test.arm},
          {"other", test.other},
          {"measure", name(test.measure)},
          {"corpora", name(test.group)},
          {"value_nats", number(test.nested.value)},
          {"low", number(test.nested.low)},
          {"high", number(test.nested.high)},
          {"p", number(test.nested.p)},
          {"p_holm", number(test.holm)},
          {"low_crossed", number(test.crossed.low)},
          {"high_crossed", number(test.crossed.high)},
          {"wins", test.wins},
          {"losses", test.losses},
          {"p_sign", test.sign},
          {"standard_errors", number(test.standard_errors)},
          {"left_out", test.left_out}};
}

}  // namespace

std::string fusion_answer(const FusionStudy& study, const FusionFindings& found) {
  std::string text =
      "Nats a token with 95 % intervals (corpora and then seeds drawn, widened to Student's t of "
      "the corpora); above 0 is better but in slopes and in `worse than`.\n\n";
  add_gains(study, found, text);
  add_controls(study, found, text);
  add_against(found, text);
  return text;
}

Json fusion_json(const std::string& name, const FusionStudy& study, const FusionFindings& found) {
  Json arms = Json::array(), tests = Json::array();
  for (const std::string& arm : arms_in_order(study)) {
    Json losses = Json::object();
    for (const Measure measure : kMeasures)
      for (const Corpora group : kCorpora)
        if (const double loss = last_mean(found, arm, measure, group); !std::isnan(loss))
          losses[std::string(study::name(measure))][std::string(study::name(group))] = number(loss);
    arms.push_back({{"arm", arm}, {"losses_nats", std::move(losses)}});
  }
  for (const FusionTest& test : found.tests) tests.push_back(json_of(test));
  Json tokens = Json::object();
  for (const auto& [seed, count] : found.tokens) tokens[std::to_string(seed)] = count;
  return {{"schema", "ration.fusion_study/1"},
          {"name", name},
          {"tokens", std::move(tokens)},
          {"arms", std::move(arms)},
          {"tests", std::move(tests)}};
}

}  // namespace ration::study
