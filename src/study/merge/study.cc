#include "study/merge/study.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// The point of each merged model, [subset][replica].
using Points = std::vector<std::vector<std::string>>;

class Study {
 public:
  Study(const MergeTable& table,
        const MergeModels& models,
        const MergeEvaluate& evaluate,
        const MergeToFile& merge_to_file)
      : table_(table), models_(models), evaluate_(evaluate), merge_to_file_(merge_to_file) {}

  Result<MergeOutcome> carry_out() {
    Result<MergeFloor> floor = measure_floor(models_, evaluate_);
    if (!floor) return std::move(floor).error();
    outcome_.floor = std::move(*floor);
    if (std::optional<Error> error = draw_subsets()) return std::move(*error);
    if (Result<void> done = try_all(); !done) return std::move(done).error();
    if (Result<void> done = make_soups(); !done) return std::move(done).error();
    if (Result<void> done = report_all(); !done) return std::move(done).error();
    add_multitask();
    return std::move(outcome_);
  }

 private:
  std::optional<Error> draw_subsets() {
    outcome_.kept = corpora_with_gain(outcome_.floor, table_.min_gain);
    for (std::size_t corpus = 0; corpus < models_.corpora.size(); ++corpus)
      if (std::find(outcome_.kept.begin(), outcome_.kept.end(), corpus) == outcome_.kept.end())
        outcome_.left_out.push_back(corpus);
    if (outcome_.kept.size() < 2) return too_little_gain();
    const auto most = static_cast<std::int64_t>(outcome_.kept.size());
    for (std::int64_t size = 2; size <= most; ++size)
      if (table_.sizes.empty() ||
          std::find(table_.sizes.begin(), table_.sizes.end(), size) != table_.sizes.end())
        outcome_.sizes.push_back(size);
    if (outcome_.sizes.empty())
      return Error{
          .kind = ErrorKind::untrusted,
          .what = fmt::format("[merge] sizes are all beyond the {} corpora that are left", most),
          .hint = "set smaller sizes"};
    outcome_.subsets = merge_subsets(outcome_.kept, outcome_.sizes, table_.subsets, table_.seed);
    for (std::size_t subset = 0; subset < outcome_.subsets.size(); ++subset)
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica)
        for (const std::size_t corpus : outcome_.subsets[subset].corpora)
          outcome_.cells.push_back({.subset = subset, .replica = replica, .corpus = corpus});
    return std::nullopt;
  }

  Error too_little_gain() const {
    std::vector<std::string> gains;
    for (std::size_t corpus = 0; corpus < models_.corpora.size(); ++corpus)
      gains.push_back(fmt::format(
          "{} {:.3f}", models_.corpora[corpus], outcome_.floor.gain(corpus, Half::choose)));
    return {.kind = ErrorKind::untrusted,
            .what = fmt::format("fewer than two corpora gained {} nats a token by their own "
                                "training: {}",
                                table_.min_gain,
                                fmt::join(gains, ", ")),
            .hint = "train longer or with a higher rate, or lower [merge] min_gain"};
  }

  std::vector<std::string> models_of(std::size_t subset, std::size_t replica) const {
    std::vector<std::string> names;
    for (const std::size_t corpus : outcome_.subsets[subset].corpora)
      names.push_back(models_.own[corpus][replica]);
    return names;
  }

  std::size_t size_index(std::size_t subset) const {
    const auto found =
        std::find(outcome_.sizes.begin(), outcome_.sizes.end(), outcome_.subsets[subset].size);
    return static_cast<std::size_t>(found - outcome_.sizes.begin());
  }

  // One point for each subset and replica, merged with the members of its size (or the only ones).
  Result<Points> ask(MergePoints& points,
                     const MergeMethod& method,
                     const std::vector<Json>& members,
                     Half half) const {
    Points names(outcome_.subsets.size());
    for (std::size_t subset = 0; subset < outcome_.subsets.size(); ++subset)
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica) {
        const Json& chosen = members.size() == 1 ? members[0] : members[size_index(subset)];
        const std::vector<std::string> merged =
            method.is_soup() ? outcome_.soups[subset][replica] : models_of(subset, replica);
        Json recipe = merge_recipe(
            method.is_soup() ? "average" : method.method, chosen, models_.base[replica], merged);
        if (method.is_fisher()) {
          Result<MergedFile> file = merge_to_file_(recipe);
          if (!file) return std::move(file).error();
          points.add_file(file->name, file->sha256, file->path);
          recipe = merge_recipe("average", Json::object(), "", {file->name});
        }
        names[subset].push_back(points.add(recipe, outcome_.subsets[subset].corpora, half));
      }
    return names;
  }

  MergeArm arm_of(const MergeMethod& method,
                  std::string variant,
                  std::vector<Json> members,
                  const Points& points,
                  const MergeLosses& losses,
                  Half half) const {
    MergeArm arm{.label = method.label,
                 .variant = std::move(variant),
                 .members = std::move(members),
                 .losses = {},
                 .recovered = {}};
    for (const MergeCell& cell : outcome_.cells) {
      arm.losses.push_back(losses.at(points[cell.subset][cell.replica], cell.corpus, half));
      arm.recovered.push_back(
          outcome_.floor.recovered(cell.corpus, cell.replica, half, arm.losses.back().loss));
    }
    return arm;
  }

  // Mean R over the cells of a size; minus infinity where any weights were unusable.
  double score(const MergeArm& trial, std::int64_t size) const {
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < outcome_.cells.size(); ++i)
      if (outcome_.subsets[outcome_.cells[i].subset].size == size)
        sum += trial.recovered[i], ++count;
    return std::isfinite(sum) ? sum / count : -std::numeric_limits<double>::infinity();
  }

  Result<void> try_all() {
    MergePoints points(models_);
    std::vector<std::pair<const MergeMethod*, Json>> tried;
    std::vector<Points> names;
    for (const MergeMethod& method : table_.methods) {
      if (method.is_soup()) continue;
      for (const Json& members : method.trials) {
        Result<Points> asked = ask(points, method, {members}, Half::choose);
        if (!asked) return std::move(asked).error();
        tried.emplace_back(&method, members);
        names.push_back(std::move(*asked));
      }
    }
    MergeLosses losses;
    if (Result<void> done = losses.evaluate(points, evaluate_, "choose"); !done) return done;
    for (std::size_t i = 0; i < tried.size(); ++i)
      outcome_.trials.push_back(
          arm_of(*tried[i].first, "trial", {tried[i].second}, names[i], losses, Half::choose));
    for (const MergeMethod& method : table_.methods)
      for (const std::int64_t size : outcome_.sizes)
        if (!method.is_soup()) choose(method, size);
    return {};
  }

  void choose(const MergeMethod& method, std::int64_t size) {
    MergeChoice choice{.label = method.label,
                       .size = size,
                       .members = method.trials.front(),
                       .recovered = -std::numeric_limits<double>::infinity(),
                       .trials = method.trials.size()};
    for (const MergeArm& trial : outcome_.trials)
      if (trial.label == method.label)
        if (const double reached = score(trial, size); reached > choice.recovered) {
          choice.recovered = reached;
          choice.members = trial.members.front();
        }
    outcome_.choices.push_back(std::move(choice));
  }

  Result<void> make_soups() {
    if (std::none_of(
            table_.methods.begin(), table_.methods.end(), [](auto& m) { return m.is_soup(); }))
      return {};
    Result<MergeSoups> soups = greedy_soups(models_, outcome_.subsets, evaluate_);
    if (!soups) return std::move(soups).error();
    outcome_.soups = std::move(*soups);
    return {};
  }

  std::vector<Json> chosen(const MergeMethod& method) const {
    std::vector<Json> members;
    for (const MergeChoice& choice : outcome_.choices)
      if (choice.label == method.label) members.push_back(choice.members);
    if (members.empty()) members.push_back(Json::object());
    return members;
  }

  // The variants of a method that are reported, each with its members of every size.
  std::vector<std::pair<std::string, std::vector<Json>>> variants(const MergeMethod& method) const {
    std::vector<std::pair<std::string, std::vector<Json>>> all = {{"chosen", chosen(method)}};
    if (method.is_soup()) return all;
    all.push_back({"untuned", {method.untuned}});
    if (!table_.mechanism || method.method != "ties") return all;
    for (const std::string step : {"trim", "elect", "disjoint"}) {
      std::vector<Json> without = chosen(method);
      for (Json& members : without) members[step] = false;
      all.emplace_back("no " + step, std::move(without));
    }
    return all;
  }

  Result<void> report_all() {
    MergePoints points(models_);
    struct Asked {
      const MergeMethod* method;
      std::string variant;
      std::vector<Json> members;
      Points points;
    };
    std::vector<Asked> asked;
    for (const MergeMethod& method : table_.methods)
      for (auto& [variant, members] : variants(method)) {
        Result<Points> names = ask(points, method, members, Half::report);
        if (!names) return std::move(names).error();
        asked.push_back({&method, variant, members, std::move(*names)});
      }
    MergeLosses losses;
    if (Result<void> done = losses.evaluate(points, evaluate_, "report"); !done) return done;
    for (Asked& each : asked)
      outcome_.arms.push_back(arm_of(
          *each.method, each.variant, std::move(each.members), each.points, losses, Half::report));
    return {};
  }

  // The ceiling, for the subsets whose corpora were trained on together.
  void add_multitask() {
    if (models_.multitask.empty()) return;
    MergeArm arm{.label = "multitask",
                 .variant = "trained",
                 .members = {Json::object()},
                 .losses = {},
                 .recovered = {}};
    for (const MergeCell& cell : outcome_.cells) {
      MergeLosses::Loss loss{.loss = kNone, .tokens = 0};
      for (std::size_t i = 0; i < models_.multitask.size(); ++i)
        if (models_.multitask[i].corpora == outcome_.subsets[cell.subset].corpora)
          loss = outcome_.floor.multitask[i][cell.corpus][cell.replica].report;
      arm.losses.push_back(loss);
      arm.recovered.push_back(
          outcome_.floor.recovered(cell.corpus, cell.replica, Half::report, loss.loss));
    }
    outcome_.arms.push_back(std::move(arm));
  }

  const MergeTable& table_;
  const MergeModels& models_;
  const MergeEvaluate& evaluate_;
  const MergeToFile& merge_to_file_;
  MergeOutcome outcome_;
};

}  // namespace

const MergeArm* MergeOutcome::arm(const std::string& label, const std::string& variant) const {
  for (const MergeArm& each : arms)
    if (each.label == label && each.variant == variant) return &each;
  return nullptr;
}

Result<MergeOutcome> carry_out_merges(const MergeTable& table,
                                      const MergeModels& models,
                                      const MergeEvaluate& evaluate,
                                      const MergeToFile& merge_to_file) {
  return Study(table, models, evaluate, merge_to_file).carry_out();
}

}  // namespace ration::study
