#include "study/fusion/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "run/weights.h"

namespace ration::study {
namespace {

using tables::Cell;
using tables::Type;

Cell number(double value) { return std::isfinite(value) ? Cell(value) : Cell(); }

Cell whole(std::size_t value) { return static_cast<std::int64_t>(value); }

std::size_t count(const fuse::RoundRecord& round, fuse::Verdict verdict) {
  return static_cast<std::size_t>(std::count_if(
      round.contributions.begin(), round.contributions.end(), [&](const fuse::Contribution& c) {
        return c.verdict == verdict;
      }));
}

double zero_step(const FusionFindings& found, const FusedArm& arm, std::int64_t round, bool seen) {
  std::vector<double> losses;
  for (const FusionLoss& loss : found.losses)
    if (loss.arm == arm.arm && loss.seed == arm.seed && loss.round == round && loss.seen == seen &&
        loss.measure == Measure::zero_step)
      losses.push_back(loss.loss);
  return mean(losses);
}

std::size_t verdicts(const FusionFindings& found, const std::string& arm, fuse::Verdict verdict) {
  std::size_t sum = 0;
  for (const FusedArm& fused : found.fusions)
    if (fused.arm == arm)
      for (const fuse::RoundRecord& round : fused.rounds) sum += count(round, verdict);
  return sum;
}

// Trained on by an arm, the mean over seeds.
double tokens_of(const FusionFindings& found, const std::string& arm) {
  if (arm == kNoFusion) return 0;
  std::vector<double> tokens;
  for (const FusedArm& fused : found.fusions)
    if (fused.arm == arm) tokens.push_back(static_cast<double>(fused.tokens()));
  if (tokens.empty())  // a control of ordinary runs
    for (const auto& [seed, given] : found.tokens) tokens.push_back(static_cast<double>(given));
  return mean(tokens);
}

}  // namespace

DataTable rounds_table(const FusionFindings& found) {
  DataTable table{.name = "rounds",
                  .columns = {{"arm", Type::text},
                              {"seed", Type::whole},
                              {"round", Type::whole},
                              {"status", Type::text},
                              {"base", Type::text},
                              {"next", Type::text},
                              {"tokens", Type::whole},
                              {"accepted", Type::whole},
                              {"rejected", Type::whole},
                              {"absent", Type::whole},
                              {"zero_step_seen_nats", Type::real},
                              {"zero_step_unseen_nats", Type::real}},
                  .rows = {}};
  for (const FusedArm& arm : found.fusions)
    for (const fuse::RoundRecord& round : arm.rounds)
      table.rows.push_back({arm.arm,
                            arm.seed,
                            round.round,
                            std::string(fuse::name(round.status)),
                            round.base,
                            round.next,
                            round.tokens(),
                            whole(count(round, fuse::Verdict::accepted)),
                            whole(count(round, fuse::Verdict::rejected)),
                            whole(count(round, fuse::Verdict::absent)),
                            number(zero_step(found, arm, round.round, true)),
                            number(zero_step(found, arm, round.round, false))});
  return table;
}

DataTable losses_table(const FusionFindings& found) {
  DataTable table{.name = "losses",
                  .columns = {{"arm", Type::text},
                              {"seed", Type::whole},
                              {"round", Type::whole},
                              {"corpus", Type::text},
                              {"corpora", Type::text},
                              {"measure", Type::text},
                              {"loss_nats", Type::real}},
                  .rows = {}};
  for (const FusionLoss& loss : found.losses)
    table.rows.push_back({loss.arm,
                          loss.seed,
                          loss.round,
                          loss.corpus,
                          std::string(name(loss.seen ? Corpora::seen : Corpora::unseen)),
                          std::string(name(loss.measure)),
                          number(loss.loss)});
  return table;
}

DataTable arms_table(const FusionStudy& study, const FusionFindings& found) {
  DataTable table{.name = "arms",
                  .columns = {{"arm", Type::text},
                              {"tokens", Type::real},
                              {"accepted", Type::whole},
                              {"rejected", Type::whole},
                              {"absent", Type::whole}},
                  .rows = {}};
  for (const Measure measure : kMeasures)
    for (const Corpora group : kCorpora)
      table.columns.push_back({fmt::format("{}_{}_nats", name(measure), name(group)), Type::real});
  for (const std::string& arm : arms_in_order(study)) {
    tables::Row& row = table.rows.emplace_back();
    row = {arm,
           number(tokens_of(found, arm)),
           whole(verdicts(found, arm, fuse::Verdict::accepted)),
           whole(verdicts(found, arm, fuse::Verdict::rejected)),
           whole(verdicts(found, arm, fuse::Verdict::absent))};
    for (const Measure measure : kMeasures)
      for (const Corpora group : kCorpora)
        row.push_back(number(last_mean(found, arm, measure, group)));
  }
  return table;
}

DataTable tests_table(const FusionFindings& found) {
  DataTable table{.name = "tests",
                  .columns = {{"question", Type::text},
                              {"arm", Type::text},
                              {"other", Type::text},
                              {"measure", Type::text},
                              {"corpora", Type::text},
                              {"value_nats", Type::real},
                              {"low", Type::real},
                              {"high", Type::real},
                              {"p", Type::real},
                              {"p_holm", Type::real},
                              {"low_crossed", Type::real},
                              {"high_crossed", Type::real},
                              {"p_crossed", Type::real},
                              {"wins", Type::whole},
                              {"losses", Type::whole},
                              {"ties", Type::whole},
                              {"p_sign", Type::real},
                              {"standard_errors", Type::real},
                              {"left_out", Type::whole}},
                  .rows = {}};
  for (const FusionTest& test : found.tests)
    table.rows.push_back({test.question,
                          test.arm,
                          test.other,
                          std::string(name(test.measure)),
                          std::string(name(test.group)),
                          number(test.nested.value),
                          number(test.nested.low),
                          number(test.nested.high),
                          number(test.nested.p),
                          number(test.holm),
                          number(test.crossed.low),
                          number(test.crossed.high),
                          number(test.crossed.p),
                          test.wins,
                          test.losses,
                          test.ties,
                          number(test.sign),
                          number(test.standard_errors),
                          test.left_out});
  return table;
}

std::vector<std::string> arms_in_order(const FusionStudy& study) {
  std::vector<std::string> names = {std::string(kNoFusion)};
  for (const FusionArm& arm : study.arms) names.push_back(arm.name);
  if (study.controls.multitask) names.emplace_back(kMultitask);
  if (study.controls.one_shot) names.emplace_back(kOneShot);
  if (study.controls.sequential) names.emplace_back(kSequential);
  return names;
}

double last_mean(const FusionFindings& found,
                 const std::string& arm,
                 Measure measure,
                 Corpora group) {
  std::map<std::pair<std::string, std::int64_t>, const FusionLoss*> last;
  for (const FusionLoss& loss : found.losses) {
    if (loss.arm != arm || loss.measure != measure) continue;
    if (group != Corpora::all && loss.seen != (group == Corpora::seen)) continue;
    const FusionLoss*& at = last[{loss.corpus, loss.seed}];
    if (at == nullptr || at->round <= loss.round) at = &loss;
  }
  std::vector<double> values;
  for (const auto& [key, loss] : last) values.push_back(loss->loss);
  return mean(values);
}

const FusionTest* find_test(const FusionFindings& found,
                            const std::string& question,
                            const std::string& arm,
                            const std::string& other,
                            Measure measure,
                            Corpora group) {
  const auto at = std::find_if(found.tests.begin(), found.tests.end(), [&](const FusionTest& test) {
    return test.question == question && test.arm == arm && test.other == other &&
           test.measure == measure && test.group == group;
  });
  return at == found.tests.end() ? nullptr : &*at;
}

}  // namespace ration::study
