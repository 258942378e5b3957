#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "scheduler/branches.h"
#include "scheduler/point.h"
#include "scheduler/sweep.h"

namespace ration::scheduler {
namespace {

constexpr std::int64_t kMostRuns = std::int64_t{1} << 20;

double points_of(const Block& block) {
  double points = static_cast<double>(block.replicas.size());
  for (const auto& axis : block.axes) points *= static_cast<double>(axis->rows.size());
  return points;
}

std::vector<AxisSize> axes_of(const Definition& definition) {
  std::vector<const Axis*> seen;
  std::vector<AxisSize> sizes;
  std::int64_t replicas = 1;
  for (const Block& block : definition.blocks) {
    replicas = std::max(replicas, static_cast<std::int64_t>(block.replicas.size()));
    for (const auto& axis : block.axes) {
      if (std::find(seen.begin(), seen.end(), axis.get()) != seen.end()) continue;
      seen.push_back(axis.get());
      sizes.push_back({axis->name, static_cast<std::int64_t>(axis->rows.size())});
    }
  }
  if (replicas > 1) sizes.push_back({"seeds", replicas});
  return sizes;
}

Error too_large(const Definition& definition, double points, std::int64_t limit) {
  std::vector<AxisSize> axes = axes_of(definition);
  std::stable_sort(
      axes.begin(), axes.end(), [](const auto& a, const auto& b) { return a.size > b.size; });
  std::string largest;
  for (std::size_t i = 0; i < std::min<std::size_t>(axes.size(), 3); ++i)
    largest += fmt::format("{}{} ({})", i > 0 ? ", " : "", axes[i].name, axes[i].size);
  return definition.source->problem(
      {},
      fmt::format("the sweep has {:.10g} points, more than {}; its largest axes: {}",
                  points,
                  limit,
                  largest),
      fmt::format("shorten an axis, use [zip] for values that belong together, or allow more with "
                  "--max-runs (up to {})",
                  kMostRuns));
}

class Expander {
 public:
  Expander(const Definition& definition,
           DataCatalog& data,
           WeightsCatalog& weights,
           const Expression* only)
      : definition_(definition),
        data_(data),
        point_(definition, {data, weights, block_runs_}, problems_),
        only_(only) {}

  Result<Expansion> run() {
    expansion_.axes = axes_of(definition_);
    if (const auto order = expansion_order(definition_, problems_)) expand_all(*order);
    if (!problems_.empty())
      return std::move(problems_).take(
          fmt::format("{}: a sweep that cannot be run", definition_.source->file()),
          expansion_.points);
    if (expansion_.runs.empty())
      return definition_.source->problem(
          {},
          fmt::format("none of the {} points is left", expansion_.points),
          only_ != nullptr ? "the expression of --only is true for none"
                           : "check `when` and `exclude`");
    write_notes();
    const auto first = [](const auto& a, const auto& b) { return a.priority > b.priority; };
    std::vector<PlannedRun>& runs = expansion_.runs;
    if (!std::is_sorted(runs.begin(), runs.end(), first))  // most sweeps have no priorities
      std::stable_sort(runs.begin(), runs.end(), first);
    return std::move(expansion_);
  }

 private:
  struct Rounded {
    std::int64_t points = 0;
    Rounding first;
  };

  // A run of the sweep, and whether --only asks for it.
  struct Candidate {
    PlannedRun run;
    bool asked = true;
  };

  // Blocks in the order in which they need one another; their runs in that of the file.
  void expand_all(const std::vector<std::size_t>& order) {
    std::vector<std::vector<Candidate>> runs_of(definition_.blocks.size());
    for (const std::size_t number : order) {
      const Block& block = definition_.blocks[number];
      const std::size_t before = problems_.count();
      expand(block, runs_of[number]);
      if (block.name.empty()) continue;
      if (problems_.count() > before) block_runs_.spoil(block.name);
      for (const Candidate& each : runs_of[number])
        block_runs_.add(block.name, each.run.replica, each.run.id);
    }
    for (std::vector<Candidate>& runs : runs_of)
      for (Candidate& each : runs) add(std::move(each));
  }

  void expand(const Block& block, std::vector<Candidate>& found_runs) {
    std::vector<std::size_t> at(block.axes.size(), 0);
    std::size_t trunk = block.axes.size();  // the axis of branches, which are taken together
    for (std::size_t a = 0; a < block.axes.size(); ++a) {
      if (block.axes[a]->rows.empty()) return;
      if (block.axes[a]->branches) trunk = a;
    }
    do {
      for (const std::int64_t replica : block.replicas) {
        if (trunk == block.axes.size()) {
          if (std::optional<Candidate> found = candidate(block, at, replica))
            found_runs.push_back(std::move(*found));
          continue;
        }
        std::vector<Candidate> family;
        for (at[trunk] = 0; at[trunk] < block.axes[trunk]->rows.size(); ++at[trunk])
          if (std::optional<Candidate> found = candidate(block, at, replica))
            family.push_back(std::move(*found));
        at[trunk] = 0;
        connect_family(*block.axes[trunk], family);
        std::move(family.begin(), family.end(), std::back_inserter(found_runs));
      }
    } while (advance(block, at, trunk));
  }

  // The next combination; the last axis varies fastest, and one of them not at all.
  static bool advance(const Block& block, std::vector<std::size_t>& at, std::size_t without) {
    for (std::size_t a = at.size(); a-- > 0;) {
      if (a == without) continue;
      if (++at[a] < block.axes[a]->rows.size()) return true;
      at[a] = 0;
    }
    return false;
  }

  std::vector<const Given*> given_at(const Block& block, const std::vector<std::size_t>& at) const {
    std::vector<const Given*> given;
    for (const auto& one : block.base) given.push_back(one.get());
    for (std::size_t a = 0; a < at.size(); ++a)
      for (const Given& cell : block.axes[a]->rows[at[a]]) {
        given[static_cast<std::size_t>(cell.slot)] = &cell;
        if (const std::optional<int> other = definition_.names.partner(cell.slot))
          given[static_cast<std::size_t>(*other)] = nullptr;
      }
    return given;
  }

  // The run of a point; nothing when a filter leaves it out or a problem was reported.
  std::optional<Candidate> candidate(const Block& block,
                                     const std::vector<std::size_t>& at,
                                     std::int64_t replica) {
    const std::vector<const Given*> given = given_at(block, at);
    ++expansion_.points;
    problems_.begin_point();
    point_.start(block, given, replica);
    for (const Filter& filter : block.filters) {
      const std::optional<bool> holds = point_.holds(*filter.expression);
      if (!holds) return std::nullopt;
      if (*holds != filter.keep) {
        ++expansion_.excluded;
        return std::nullopt;
      }
    }
    std::optional<PlannedRun> run = point_.resolve();
    if (!run) return std::nullopt;
    std::optional<bool> asked = true;
    if (only_ != nullptr) asked = point_.holds(*only_);
    if (!asked) return std::nullopt;
    write_tags(block, given, *run);
    if (*asked) count_rounding();
    if (*asked) count_reading();
    return Candidate{.run = std::move(*run), .asked = *asked};
  }

  // Adds it, unless it is not asked for or there.
  void add(Candidate candidate) {
    if (!candidate.asked) {
      ++expansion_.excluded;
      return;
    }
    PlannedRun& run = candidate.run;
    run.ordinal = static_cast<std::int64_t>(expansion_.runs.size());
    const auto [known, is_new] = by_id_.try_emplace(run.id, expansion_.runs.size());
    if (is_new) {
      expansion_.runs.push_back(std::move(run));
      return;
    }
    PlannedRun& earlier = expansion_.runs[known->second];
    keep_also(earlier, run.execution.keep_steps);
    note_merged(run, earlier);
  }

  // The longest run of a family is the trunk, the others begin with its checkpoints.
  void connect_family(const Axis& axis, std::vector<Candidate>& family) {
    if (family.empty()) return;
    const auto longest =
        std::max_element(family.begin(), family.end(), [](const auto& a, const auto& b) {
          return a.run.spec.tokens < b.run.spec.tokens;
        });
    std::swap(family.front(), *longest);  // what others wait for comes first
    PlannedRun& trunk = family.front().run;
    for (std::size_t i = 1; i < family.size(); ++i) {
      PlannedRun& run = family[i].run;
      const double alone = run.facts.flops;
      if (const std::optional<Error> wrong = make_branch(trunk, run)) {
        problems_.add(definition_.source->problem(axis.place, wrong->what, wrong->hint));
        return;
      }
      if (family[i].asked && !run.spec.branch_from.empty()) {
        ++branches_;
        saved_flops_ += alone - run.facts.flops;
      }
    }
  }

  void write_tags(const Block& block, const std::vector<const Given*>& given, PlannedRun& run) {
    const Names& names = definition_.names;
    for (const auto& axis : block.axes)
      for (const int slot : axis->slots) {
        const Given* cell = given[static_cast<std::size_t>(slot)];
        if (cell != nullptr && cell->expression == nullptr && point_.is_on(slot))
          run.tags[names[slot].name] = cell->value;
      }
    run.tags.try_emplace("epochs", run.facts.epochs);
    if (!block.name.empty()) run.tags.try_emplace("block", block.name);
  }

  void count_rounding() {
    for (const auto& [slot, change] : point_.roundings())
      if (rounded_[slot].points++ == 0) rounded_[slot].first = change;
  }

  void count_reading() {
    for (const int slot : point_.unread()) unread_.insert(slot);
    for (const int slot : point_.read()) read_.insert(slot);
  }

  // Nothing else would tell: the run is the same without them.
  std::vector<std::string> read_by_none() const {
    std::vector<std::string> names;
    for (const int slot : unread_)
      if (!read_.contains(slot)) names.push_back(definition_.names[slot].name);
    return names;
  }

  static std::string label(const PlannedRun& run) {
    std::string text;
    for (const auto& [name, value] : run.tags)
      text += fmt::format("{}{}={}",
                          text.empty() ? "" : " ",
                          name,
                          std::visit([](const auto& v) { return fmt::format("{}", v); }, value));
    return fmt::format("{} replica={}", text, run.replica);
  }

  void note_merged(const PlannedRun& run, const PlannedRun& earlier) {
    constexpr std::int64_t kExamples = 3;
    if (++expansion_.merged <= kExamples)
      merged_examples_.push_back(
          fmt::format("({}) is the run of ({})", label(run), label(earlier)));
  }

  void write_notes() {
    if (branches_ > 0)
      expansion_.notes.push_back(fmt::format("{} run{} branch{} off longer ones, which saves {}",
                                             branches_,
                                             branches_ == 1 ? "" : "s",
                                             branches_ == 1 ? "es" : "",
                                             format_quantity(saved_flops_, "FLOP")));
    if (expansion_.merged > 0)
      expansion_.notes.push_back(
          fmt::format("{} merged with an equal run: {}{}",
                      counted(static_cast<std::size_t>(expansion_.merged), "point"),
                      fmt::join(merged_examples_, "; "),
                      expansion_.merged > 3 ? "; …" : ""));
    for (const auto& [slot, change] : rounded_)
      expansion_.notes.push_back(
          fmt::format("{} brought to whole sequences in {} point{}: {} became {}",
                      definition_.names[slot].name,
                      change.points,
                      change.points == 1 ? "" : "s, the first",
                      change.first.from,
                      change.first.to));
    if (const std::vector<std::string> none = read_by_none(); !none.empty())
      expansion_.notes.push_back(fmt::format("{} {} given, and no run reads {}",
                                             fmt::join(none, ", "),
                                             none.size() == 1 ? "is" : "are",
                                             none.size() == 1 ? "it" : "them"));
    for (std::string& note : data_.overlap_notes()) expansion_.notes.push_back(std::move(note));
  }

  const Definition& definition_;
  const DataCatalog& data_;
  Problems problems_;
  BlockRuns block_runs_;
  Point point_;
  const Expression* only_;
  Expansion expansion_;
  std::unordered_map<std::string, std::size_t> by_id_;
  std::vector<std::string> merged_examples_;
  std::map<int, Rounded> rounded_;  // by slot
  std::set<int> unread_, read_;     // slots that some run leaves out, or reads
  std::int64_t branches_ = 0;
  double saved_flops_ = 0;
};

}  // namespace

Result<Expansion> expand(const Sweep& sweep, Files& files, const ExpandOptions& options) {
  const Definition& definition = *sweep.definition;
  if (options.max_runs < 1 || options.max_runs > kMostRuns)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("max_runs {} is out of range", options.max_runs),
                 .hint = fmt::format("allowed: 1 to {}", kMostRuns)};
  double points = 0;
  for (const Block& block : definition.blocks) points += points_of(block);
  if (points > static_cast<double>(options.max_runs))
    return too_large(definition, points, options.max_runs);

  std::optional<Expression> only;
  if (!options.only.empty()) {
    const auto source = std::make_shared<const SourceText>("--only", options.only);
    Result<Expression> parsed =
        Expression::parse(options.only, definition.names, [source](std::size_t offset) {
          return source->at(source->place_of(offset));
        });
    if (!parsed) return std::move(parsed).error();
    only = std::move(*parsed);
  }
  const Path base = options.base.empty() ? Path(sweep.file).parent_path() : options.base;
  DataCatalog data(files, base, options.data);
  WeightsCatalog weights(files, base);
  return Expander(definition, data, weights, only ? &*only : nullptr).run();
}

}  // namespace ration::scheduler
