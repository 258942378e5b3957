#include "eval/pairs/summary.h"

#include <algorithm>
#include <limits>
#include <map>

namespace ration::eval {
namespace {

using Credits = std::vector<std::vector<double>>;

// Items and credits of a part, for one weighting of the documents.
struct Tally {
  double items = 0;
  std::vector<double> credits;  // a prompt each

  void clear(std::size_t prompts) { items = 0, credits.assign(prompts, 0); }
  void add(double weight, const std::vector<double>& of_item) {
    items += weight;
    for (std::size_t q = 0; q < credits.size(); ++q) credits[q] += weight * of_item[q];
  }
  double share(std::size_t prompt) const { return credits[prompt] / items; }  // NaN without items
};

// The items' division into parts, and what is counted of each.
class Counter {
 public:
  Counter(const PairTask& task, const Credits& credits)
      : task_(task), credits_(credits), prompts_(credits.empty() ? 0 : credits.front().size()) {
    for (const PairGroup& group : task.groups)
      corpus_of_.push_back(corpora_.emplace(group.corpus, corpora_.size()).first->second);
  }

  // [item] numbers of the parts that it belongs to.
  void set_parts(std::vector<std::vector<std::size_t>> parts, std::size_t number) {
    parts_of_ = std::move(parts);
    part_tallies_.resize(number);
  }

  std::size_t prompts() const { return prompts_; }
  std::size_t corpora() const { return corpora_.size(); }
  std::size_t values() const {
    return prompts_ + corpora_.size() + prompts_ * part_tallies_.size();
  }
  const std::vector<std::size_t>& corpus_of() const { return corpus_of_; }
  const std::vector<Tally>& groups() const { return groups_; }
  const std::vector<Tally>& parts() const { return part_tallies_; }

  // Pooled shares of the prompts, then the corpora, then the parts.
  void count(std::span<const double> weights, std::span<double> values) {
    groups_.resize(task_.groups.size());
    for (Tally& each : groups_) each.clear(prompts_);
    for (Tally& each : part_tallies_) each.clear(prompts_);
    for (std::size_t i = 0; i < task_.items.size(); ++i) {
      const PairItem& item = task_.items[i];
      const double weight = weights[item.cluster];
      if (weight == 0) continue;
      groups_[item.group].add(weight, credits_[i]);
      if (!parts_of_.empty())
        for (const std::size_t part : parts_of_[i]) part_tallies_[part].add(weight, credits_[i]);
    }
    pooled_shares(values.first(prompts_));
    corpus_shares(values.subspan(prompts_, corpora_.size()));
    std::size_t at = prompts_ + corpora_.size();
    for (const Tally& part : part_tallies_)
      for (std::size_t q = 0; q < prompts_; ++q) values[at++] = part.share(q);
  }

 private:
  void pooled_shares(std::span<double> values) const {
    for (std::size_t q = 0; q < prompts_; ++q) {
      double items = 0, credits = 0;
      for (const Tally& group : groups_) items += group.items, credits += group.credits[q];
      values[q] = credits / items;
    }
  }
  void corpus_shares(std::span<double> values) const {
    std::vector<double> items(corpora_.size());
    std::fill(values.begin(), values.end(), 0);
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (groups_[g].items == 0) continue;  // none of its documents was drawn
      std::vector<double> shares;
      for (std::size_t q = 0; q < prompts_; ++q) shares.push_back(groups_[g].share(q));
      values[corpus_of_[g]] += groups_[g].items * median(std::move(shares));
      items[corpus_of_[g]] += groups_[g].items;
    }
    for (std::size_t c = 0; c < values.size(); ++c) values[c] /= items[c];
  }

  const PairTask& task_;
  const Credits& credits_;
  std::size_t prompts_;
  std::map<std::string, std::size_t> corpora_;
  std::vector<std::size_t> corpus_of_;  // [group]
  std::vector<std::vector<std::size_t>> parts_of_;
  std::vector<Tally> groups_, part_tallies_;
};

constexpr std::array<std::array<const char*, 2>, 5> kParts = {{{"copied", "yes"},
                                                               {"copied", "no"},
                                                               {"length", "below 0.8"},
                                                               {"length", "0.8 to 1.25"},
                                                               {"length", "above 1.25"}}};

std::vector<std::vector<std::size_t>> parts_of(const PairTask& task) {
  std::vector<std::vector<std::size_t>> parts;
  for (const PairItem& item : task.items) {
    const double ratio = static_cast<double>(item.choices[1 - item.label].size()) /
                         static_cast<double>(item.choices[item.label].size());
    const std::size_t length = ratio < 0.8 ? 2 : ratio > 1.25 ? 4 : 3;
    parts.push_back({item.verbatim ? std::size_t{0} : std::size_t{1}, length});
  }
  return parts;
}

void count_lengths(const PairTask& task, const ItemSums& sums, ScoreSummary& summary) {
  double consistent = 0, different = 0;
  std::vector<double> wins(summary.pooled.size());
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    const std::array<ChoiceSums, 2>& first = sums[i].front();
    if (first[0].tokens == first[1].tokens) continue;
    const std::size_t longer = first[1].tokens > first[0].tokens ? 1 : 0;
    const bool is_consistent = longer == task.items[i].label;
    different += 1;
    consistent += is_consistent ? 1 : 0;
    for (std::size_t q = 0; q < wins.size(); ++q)
      wins[q] += is_consistent ? summary.credits[i][q] : 1 - summary.credits[i][q];
  }
  for (const double each : wins) summary.longer_wins.push_back(each / different);
  summary.longer_is_consistent = consistent / different;
}

void add_groups(const PairTask& task, const Counter& counter, ScoreSummary& summary) {
  for (std::size_t g = 0; g < task.groups.size(); ++g) {
    const Tally& tally = counter.groups()[g];
    GroupAccuracy group{.items = task.groups[g].items};
    std::vector<double> shares;
    for (std::size_t q = 0; q < counter.prompts(); ++q) {
      shares.push_back(tally.share(q));
      group.prompts.push_back({shares.back(), wilson(tally.credits[q], tally.items)});
    }
    group.median = median(std::move(shares));
    summary.groups.push_back(std::move(group));
    const std::size_t corpus = counter.corpus_of()[g];
    if (summary.corpora.size() <= corpus) summary.corpora.resize(corpus + 1);
    summary.corpora[corpus].corpus = task.groups[g].corpus;
    summary.corpora[corpus].items += task.groups[g].items;
    summary.corpora[corpus].groups += 1;
  }
}

}  // namespace

ScoreSummary summarise(const PairTask& task,
                       const ItemSums& sums,
                       Score score,
                       bool skip_first,
                       const ClusterDraws& draws) {
  ScoreSummary summary{.score = score, .skip_first = skip_first};
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    summary.credits.emplace_back();
    for (const std::array<ChoiceSums, 2>& both : sums[i])
      summary.credits.back().push_back(credit(score_of(both[0], score, skip_first),
                                              score_of(both[1], score, skip_first),
                                              task.items[i].label));
  }
  Counter counter(task, summary.credits);
  counter.set_parts(parts_of(task), kParts.size());
  std::vector<double> values(counter.values());
  counter.count(std::vector<double>(task.documents, 1), values);
  add_groups(task, counter, summary);
  std::vector<double> part_items;
  for (const Tally& part : counter.parts()) part_items.push_back(part.items);
  const std::vector<Interval> intervals = cluster_bootstrap(
      task.documents,
      values.size(),
      [&](std::span<const double> counts, std::span<double> out) { counter.count(counts, out); },
      draws);
  std::size_t at = 0;
  const auto next = [&] { return ++at, Share{values[at - 1], intervals[at - 1]}; };
  for (std::size_t q = 0; q < counter.prompts(); ++q) summary.pooled.push_back(next());
  for (CorpusAccuracy& corpus : summary.corpora) corpus.share = next();
  for (std::size_t p = 0; p < kParts.size(); ++p) {
    PartAccuracy part{
        .of = kParts[p][0], .part = kParts[p][1], .items = static_cast<std::size_t>(part_items[p])};
    for (std::size_t q = 0; q < counter.prompts(); ++q) part.prompts.push_back(next());
    if (part.items > 0) summary.parts.push_back(std::move(part));
  }
  count_lengths(task, sums, summary);
  return summary;
}

Comparison compare(const PairTask& task,
                   const ScoreSummary& first,
                   const ScoreSummary& second,
                   const ClusterDraws& draws) {
  Counter one(task, first.credits), two(task, second.credits);
  const auto difference = [&](std::span<const double> weights, std::span<double> values) {
    std::vector<double> of_one(values.size());
    one.count(weights, of_one);
    two.count(weights, values);
    for (std::size_t v = 0; v < values.size(); ++v) values[v] -= of_one[v];
  };
  std::vector<double> values(one.values());
  difference(std::vector<double>(task.documents, 1), values);
  const std::vector<Interval> intervals =
      cluster_bootstrap(task.documents, values.size(), difference, draws);
  Comparison comparison;
  for (std::size_t v = 0; v < values.size(); ++v)
    (v < one.prompts() ? comparison.pooled : comparison.corpora)
        .push_back({values[v], intervals[v]});
  comparison.groups.assign(task.groups.size(), std::vector<GroupDifference>(one.prompts()));
  for (std::size_t i = 0; i < task.items.size(); ++i)
    for (std::size_t q = 0; q < one.prompts(); ++q) {
      GroupDifference& group = comparison.groups[task.items[i].group][q];
      if (first.credits[i][q] == 1 && second.credits[i][q] == 0) ++group.only_first;
      if (first.credits[i][q] == 0 && second.credits[i][q] == 1) ++group.only_second;
    }
  for (std::size_t g = 0; g < task.groups.size(); ++g)
    for (std::size_t q = 0; q < one.prompts(); ++q) {
      GroupDifference& group = comparison.groups[g][q];
      group.difference = second.groups[g].prompts[q].value - first.groups[g].prompts[q].value;
      group.p = mcnemar(group.only_first, group.only_second);
    }
  return comparison;
}

}  // namespace ration::eval
