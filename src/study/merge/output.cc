#include "study/merge/output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ration::study {
namespace {

using tables::Cell;
using tables::Row;
using tables::Type;

Cell number(double value) { return std::isnan(value) ? Cell() : Cell(value); }
Cell whole(std::size_t value) { return Cell(static_cast<std::int64_t>(value)); }

std::string subset_name(const MergeReport& report, const std::vector<std::size_t>& corpora) {
  std::vector<std::string> names;
  for (const std::size_t corpus : corpora) names.push_back(report.models.corpora[corpus]);
  return fmt::format("{}", fmt::join(names, "+"));
}

// Models and their losses, joined by the number of a model.
class LossTables {
 public:
  explicit LossTables(const MergeReport& report) : report_(report) {
    merges_ = {.name = "merges",
               .columns = {{"merge", Type::whole},
                           {"method", Type::text},
                           {"variant", Type::text},
                           {"params", Type::text},
                           {"models", Type::whole},
                           {"subset", Type::text},
                           {"seed", Type::whole}},
               .rows = {}};
    losses_ = {.name = "losses",
               .columns = {{"merge", Type::whole},
                           {"corpus", Type::text},
                           {"split", Type::text},
                           {"loss_nats", Type::real},
                           {"tokens", Type::whole},
                           {"recovered", Type::real}},
               .rows = {}};
    add_floor();
    for (const MergeArm& arm : report.outcome.trials) add_arm(arm, Half::choose);
    for (const MergeArm& arm : report.outcome.arms) add_arm(arm, Half::report);
  }

  std::vector<DataTable> take() { return {std::move(merges_), std::move(losses_)}; }

 private:
  void add_merge(const std::string& label,
                 const std::string& variant,
                 const std::string& params,
                 const std::vector<std::size_t>& corpora,
                 std::size_t replica) {
    merges_.rows.push_back({whole(merges_.rows.size()),
                            label,
                            variant,
                            params,
                            whole(corpora.size()),
                            subset_name(report_, corpora),
                            report_.models.replicas[replica]});
  }

  void add_loss(std::size_t corpus, std::size_t replica, Half half, const MergeLosses::Loss& loss) {
    const double recovered = report_.outcome.floor.recovered(corpus, replica, half, loss.loss);
    losses_.rows.push_back({whole(merges_.rows.size() - 1),
                            report_.models.corpora[corpus],
                            half == Half::report ? "report" : "choose",
                            number(loss.loss),
                            loss.tokens,
                            number(recovered)});
  }

  void add_both(std::size_t corpus, std::size_t replica, const MergeFloor::Losses& losses) {
    add_loss(corpus, replica, Half::choose, losses.choose);
    add_loss(corpus, replica, Half::report, losses.report);
  }

  void add_floor() {
    const MergeFloor& floor = report_.outcome.floor;
    for (std::size_t replica = 0; replica < report_.models.replicas.size(); ++replica) {
      add_merge("base", "trained", "–", {}, replica);
      for (std::size_t corpus = 0; corpus < floor.base.size(); ++corpus)
        add_both(corpus, replica, floor.base[corpus][replica]);
      for (std::size_t corpus = 0; corpus < floor.own.size(); ++corpus) {
        add_merge("own", "trained", "–", {corpus}, replica);
        add_both(corpus, replica, floor.own[corpus][replica]);
      }
      for (std::size_t i = 0; i < floor.multitask.size(); ++i) {
        add_merge("multitask", "trained", "–", report_.models.multitask[i].corpora, replica);
        for (const std::size_t corpus : report_.models.multitask[i].corpora)
          add_both(corpus, replica, floor.multitask[i][corpus][replica]);
      }
    }
  }

  void add_arm(const MergeArm& arm, Half half) {
    if (arm.label == "multitask") return;  // it stands among the trained models
    const MergeOutcome& outcome = report_.outcome;
    for (std::size_t i = 0; i < outcome.cells.size(); ++i) {
      const MergeCell& cell = outcome.cells[i];
      const MergeSubset& subset = outcome.subsets[cell.subset];
      if (cell.corpus == subset.corpora.front())
        add_merge(arm.label,
                  arm.variant,
                  params_of(arm, cell, subset.size),
                  subset.corpora,
                  cell.replica);
      add_loss(cell.corpus, cell.replica, half, arm.losses[i]);
    }
  }

  std::string params_of(const MergeArm& arm, const MergeCell& cell, std::int64_t size) const {
    for (const MergeMethod& method : report_.table.methods)
      if (method.label == arm.label && method.is_soup())
        return fmt::format("{}",
                           fmt::join(report_.outcome.soups[cell.subset][cell.replica], " + "));
    if (arm.members.size() == 1) return text_of_members(arm.members[0]);
    const std::vector<std::int64_t>& sizes = report_.outcome.sizes;
    const auto at = std::find(sizes.begin(), sizes.end(), size) - sizes.begin();
    return text_of_members(arm.members[static_cast<std::size_t>(at)]);
  }

  const MergeReport& report_;
  DataTable merges_, losses_;
};

double over_replicas(const std::vector<MergeFloor::Losses>& losses, Half half) {
  double sum = 0;
  for (const MergeFloor::Losses& each : losses) sum += each.on(half).loss;
  return sum / static_cast<double>(losses.size());
}

DataTable corpora_data(const MergeReport& report) {
  DataTable table{.name = "corpora",
                  .columns = {{"corpus", Type::text},
                              {"base", Type::real},
                              {"own", Type::real},
                              {"multitask", Type::real},
                              {"gain", Type::real},
                              {"gain_choose", Type::real},
                              {"merged", Type::text}},
                  .rows = {}};
  const MergeFloor& floor = report.outcome.floor;
  for (std::size_t corpus = 0; corpus < report.models.corpora.size(); ++corpus) {
    double joint = std::numeric_limits<double>::quiet_NaN();
    std::size_t most = 0;  // of the run on the most corpora
    for (std::size_t i = 0; i < floor.multitask.size(); ++i)
      if (report.models.multitask[i].corpora.size() > most) {
        const double loss = over_replicas(floor.multitask[i][corpus], Half::report);
        if (std::isnan(loss)) continue;
        most = report.models.multitask[i].corpora.size();
        joint = loss;
      }
    const bool kept = std::find(report.outcome.kept.begin(), report.outcome.kept.end(), corpus) !=
                      report.outcome.kept.end();
    table.rows.push_back({report.models.corpora[corpus],
                          number(over_replicas(floor.base[corpus], Half::report)),
                          number(over_replicas(floor.own[corpus], Half::report)),
                          number(joint),
                          number(floor.gain(corpus, Half::report)),
                          number(floor.gain(corpus, Half::choose)),
                          kept ? "yes" : "no"});
  }
  return table;
}

DataTable choices_data(const MergeReport& report) {
  DataTable table{.name = "choices",
                  .columns = {{"method", Type::text},
                              {"models", Type::whole},
                              {"params", Type::text},
                              {"trials", Type::whole},
                              {"recovered_choose", Type::real}},
                  .rows = {}};
  for (const MergeChoice& choice : report.outcome.choices)
    table.rows.push_back({choice.label,
                          choice.size,
                          text_of_members(choice.members),
                          whole(choice.trials),
                          number(choice.recovered)});
  return table;
}

DataTable recovered_data(const MergeReport& report) {
  DataTable table{.name = "recovered",
                  .columns = {{"method", Type::text},
                              {"variant", Type::text},
                              {"models", Type::whole},
                              {"params", Type::text},
                              {"loss_nats", Type::real},
                              {"recovered", Type::real},
                              {"low", Type::real},
                              {"high", Type::real},
                              {"merges", Type::whole},
                              {"unusable", Type::whole}},
                  .rows = {}};
  for (const MergeSummary& each : report.summaries)
    table.rows.push_back({each.label,
                          each.variant,
                          each.size,
                          each.members,
                          number(each.loss),
                          number(each.recovered.value),
                          number(each.recovered.low),
                          number(each.recovered.high),
                          each.merges,
                          each.unusable});
  return table;
}

DataTable tests_data(const MergeReport& report) {
  DataTable table{.name = "tests",
                  .columns = {{"variant", Type::text},
                              {"statistic", Type::text},
                              {"method", Type::text},
                              {"minus", Type::text},
                              {"difference", Type::real},
                              {"low", Type::real},
                              {"high", Type::real},
                              {"p", Type::real},
                              {"p_holm", Type::real}},
                  .rows = {}};
  for (const MergeClaim& claim : report.claims)
    table.rows.push_back({claim.variant,
                          claim.statistic,
                          claim.method,
                          claim.other,
                          number(claim.difference.value),
                          number(claim.difference.low),
                          number(claim.difference.high),
                          number(claim.difference.p),
                          number(claim.holm)});
  return table;
}

DataTable mechanism_data(const MergeReport& report) {
  DataTable table{.name = "mechanism",
                  .columns = {{"what", Type::text},
                              {"rate", Type::real},
                              {"models", Type::whole},
                              {"subset", Type::text},
                              {"seed", Type::whole},
                              {"value", Type::real}},
                  .rows = {}};
  const auto add = [&](const std::string& what,
                       double rate,
                       const std::vector<std::size_t>& corpora,
                       std::size_t replica,
                       double value) {
    table.rows.push_back({what,
                          number(rate),
                          whole(corpora.size()),
                          subset_name(report, corpora),
                          report.models.replicas[replica],
                          number(value)});
  };
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const MergeMechanism& mechanism = *report.mechanism;
  for (const MergeConflict& each : mechanism.conflicts) {
    const std::vector<std::size_t>& corpora = report.outcome.subsets[each.subset].corpora;
    add("conflict share", kNone, corpora, each.replica, each.share);
    add("conflict share of the top 20 %", kNone, corpora, each.replica, each.trimmed);
  }
  for (std::size_t i = 0; i < mechanism.energy.size(); ++i)
    for (std::size_t replica = 0; replica < mechanism.energy[i].size(); ++replica)
      add("squared length in the top 20 %",
          kNone,
          {report.outcome.kept[i]},
          replica,
          mechanism.energy[i][replica]);
  for (const MergeAlteration& each : mechanism.alterations)
    add("R, " + each.what, each.rate, {each.corpus}, each.replica, each.recovered);
  return table;
}

}  // namespace

std::vector<DataTable> merge_tables(const MergeReport& report) {
  std::vector<DataTable> tables = LossTables(report).take();
  tables.push_back(corpora_data(report));
  tables.push_back(choices_data(report));
  tables.push_back(recovered_data(report));
  tables.push_back(tests_data(report));
  if (report.mechanism) tables.push_back(mechanism_data(report));
  return tables;
}

}  // namespace ration::study
