// What fine-tunings from different starts say.

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>

#include "study/region/centroid.h"

namespace ration::study {
namespace {

// What two starts are compared over.
struct Setting {
  std::string tune;
  std::int64_t tokens = 0;
  auto operator<=>(const Setting&) const = default;

  std::string name() const { return fmt::format("{}, {} tokens", tune, tokens); }
};

Setting setting_of(const Tuned& tuned) {
  return {.tune = tuned.model.spec.tune, .tokens = tuned.model.spec.tokens};
}

// RegionLosses of one start by seed.
std::map<std::int64_t, double> by_seed(const std::vector<Tuned>& tuned,
                                       const std::string& corpus,
                                       const std::string& start,
                                       const Setting& setting) {
  std::map<std::int64_t, double> losses;
  for (const Tuned& each : tuned)
    if (each.model.corpus == corpus && each.start == start && setting_of(each) == setting)
      losses[each.model.spec.seed] = each.loss;
  return losses;
}

// Loss from the centroid minus loss from another start, of the seeds that both have.
std::vector<double> differences(const std::vector<Tuned>& tuned,
                                const std::string& corpus,
                                const std::string& start,
                                const Setting& setting) {
  const auto ours = by_seed(tuned, corpus, "centroid", setting);
  const auto theirs = by_seed(tuned, corpus, start, setting);
  std::vector<double> found;
  for (const auto& [seed, loss] : ours)
    if (const auto other = theirs.find(seed); other != theirs.end())
      found.push_back(loss - other->second);
  return found;
}

}  // namespace

std::vector<Finding> centroid_findings(const RegionTable& table,
                                       const std::vector<std::string>& corpora,
                                       const std::vector<Tuned>& tuned) {
  std::set<Setting> settings;
  std::set<std::string> others;
  for (const Tuned& each : tuned) {
    settings.insert(setting_of(each));
    if (each.start != "centroid") others.insert(each.start);
  }
  std::vector<Finding> overall, each;
  for (const Setting& setting : settings)
    for (const std::string& other : others) {
      const std::string about = setting.name();
      const std::string statistic = fmt::format("centroid - {} (nats)", other);
      std::vector<std::vector<double>> groups;
      std::int64_t wins = 0, ties = 0, losses = 0;
      for (const std::string& corpus : corpora) {
        std::vector<double> values = differences(tuned, corpus, other, setting);
        if (values.empty()) continue;
        const Estimate estimate = paired_t(values);
        each.push_back({"centroid start",
                        fmt::format("{}, {}", corpus, about),
                        statistic,
                        estimate,
                        static_cast<std::int64_t>(values.size()),
                        {},
                        true});
        ++(!estimate.differs() ? ties : estimate.value < 0 ? wins : losses);
        groups.push_back(std::move(values));
      }
      overall.push_back(
          {"centroid start",
           about,
           statistic,
           nested_bootstrap(groups,
                            {.draws = table.draws, .seed = static_cast<std::uint64_t>(table.seed)}),
           static_cast<std::int64_t>(groups.size()),
           fmt::format("better in {}, tied in {}, worse in {}", wins, ties, losses)});
    }
  // As many questions as there are settings and starts were asked.
  std::vector<Finding*> tests;
  std::vector<double> p;
  for (Finding& finding : overall)
    if (!std::isnan(finding.estimate.p)) {
      tests.push_back(&finding);
      p.push_back(finding.estimate.p);
    }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < tests.size(); ++i) tests[i]->estimate.p = adjusted[i];
  overall.insert(overall.end(), each.begin(), each.end());
  return overall;
}

DataTable centroid_table(const std::vector<Tuned>& tuned) {
  using tables::Type;
  DataTable table{.name = "centroid",
                  .columns = {{"corpus", Type::text},
                              {"start", Type::text},
                              {"tune", Type::text},
                              {"tokens", Type::whole},
                              {"seed", Type::whole},
                              {"run", Type::text},
                              {"loss", Type::real}},
                  .rows = {}};
  for (const Tuned& each : tuned)
    table.rows.push_back({each.model.corpus,
                          each.start,
                          each.model.spec.tune,
                          each.model.spec.tokens,
                          each.model.spec.seed,
                          each.model.run,
                          std::isnan(each.loss) ? tables::Cell() : tables::Cell(each.loss)});
  return table;
}

}  // namespace ration::study
