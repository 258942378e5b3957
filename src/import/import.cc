#include "import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "import/number.h"
#include "import/points.h"

namespace ration::import {
namespace {

// Unique tokens may exceed tokens by rounding when they are computed from epochs.
constexpr double kRounding = 1e-9;

// Below these a column cannot be counts of ones: nobody trains a model of 999 parameters, or on
// 9,999 tokens.
constexpr double kFewestParams = 1000, kFewestTokens = 10000;

std::string runs_in_words(std::size_t count) {
  return count == 1 ? "1 run" : fmt::format("{} runs", count);
}

// What is known of a run beside its own rows.
struct Facts {
  std::optional<double> params, tokens, unique, epochs, weight;
};

struct Run {
  std::string name;
  std::vector<Point> points;
  bool history = false;
};

class Importer {
 public:
  Importer(Files& files, const Options& options)
      : files_(files),
        options_(options),
        point_options_{.columns = options.columns,
                       .where = options.where,
                       .tokens_per_step = options.tokens_per_step,
                       .bytes_per_token = options.bytes_per_token,
                       .unfinished = options.unfinished} {}

  Result<Imported> import(const std::vector<Path>& paths);

 private:
  Result<void> read(const std::vector<Path>& paths);
  Result<void> read_side_table();
  void check_columns();
  void group();
  void merge_steps(Run& run);
  Facts facts_of(const std::string& run);
  void take(const Run& run);
  std::vector<const Point*> chosen(const Run& run, double last);
  std::optional<double> own(const Run& run, Role role, std::optional<double> Point::*member);
  std::optional<double> first_known(const Run& run,
                                    Role role,
                                    std::optional<double> Point::*member,
                                    const std::optional<double>& fact);
  std::optional<double> tokens_at(const Run& run,
                                  const Facts& facts,
                                  const Point& point,
                                  double last);
  std::optional<double> logged_tokens(const Run& run, double step, double last);
  double unique_of(const Run& run, const Facts& facts, double tokens);
  bool sound(const Run& run, const Point& point, const ImportedRun& row);
  void refuse_mixed_losses();
  void report();

  bool told(Role role) const {
    return std::any_of(tables_.begin(), tables_.end(), [&](const Table& table) {
      return table.columns[role].told && table.columns[role];
    });
  }
  void use(const Point& point, Role role) { used_.insert({point.source, role}); }
  void say(const std::string& role, std::string text) {
    for (const Guess& guess : derived_)
      if (guess.role == role && guess.text == text) return;
    derived_.push_back({role, "", "", "", std::move(text)});
  }
  void refuse(
      const Run& run, const Point& point, Role role, std::string what, std::string hint = {}) {
    problems_.push_back({.kind = ErrorKind::input,
                         .what = fmt::format("run {}: {}", run.name, what),
                         .hint = std::move(hint),
                         .where = tables_[point.source].place(point.row, role)});
  }

  Files& files_;
  const Options& options_;
  PointOptions point_options_;
  std::optional<NamePattern> pattern_;
  std::vector<Table> tables_, side_tables_;
  std::map<std::string, Point> side_;
  std::set<std::string> side_used_;
  std::vector<Run> runs_;
  std::vector<const Point*> rows_;  // behind each of imported_.runs
  std::set<std::pair<std::size_t, Role>> used_;
  std::vector<Guess> derived_;
  std::map<Role, std::vector<std::string>> unknown_;  // runs of which nobody knows it
  std::size_t several_points_ = 0, all_points_ = 0, replicas_ = 0, seen_once_ = 0;
  std::vector<Error> problems_;
  Imported imported_;
};

Result<void> Importer::read(const std::vector<Path>& paths) {
  Result<Sources> sources = read_sources(files_, paths, options_.from);
  if (!sources) return std::move(sources).error();
  imported_.notes = std::move(sources->notes);
  for (Source& source : sources->all) {
    Result<Table> table = describe(std::move(source), point_options_);
    if (table)
      tables_.push_back(std::move(*table));
    else
      problems_.push_back(std::move(table).error());
  }
  return {};
}

Result<void> Importer::read_side_table() {
  if (options_.side_table.empty()) return {};
  Result<Sources> sources = read_sources(files_, {options_.side_table}, Format::automatic);
  if (!sources) return std::move(sources).error().with_context("--runs");
  PointOptions options = point_options_;
  options.where.clear();
  options.need_loss = false;
  options.unfinished = true;
  for (Source& source : sources->all) {
    Result<Table> table = describe(std::move(source), options);
    if (!table) return std::move(table).error();
    if (!table->columns[Role::run])
      return Error{.kind = ErrorKind::input,
                   .what = "--runs: no column holds the runs' names",
                   .hint = fmt::format("its columns: {}; --column run=NAME names it",
                                       fmt::join(table->source.csv.names(), ", ")),
                   .where = SourceRef{.file = table->source.csv.file}};
    for (Point& point : points_of(*table, side_tables_.size(), options, problems_))
      side_[point.run] = std::move(point);
    side_tables_.push_back(std::move(*table));
  }
  return {};
}

// Columns that an option names must exist somewhere; a loss must be found somewhere.
void Importer::check_columns() {
  std::map<Role, std::vector<Error>> missing;
  for (const std::vector<Table>* tables : {&tables_, &side_tables_})
    for (const Table& table : *tables)
      for (const auto& [role, error] : table.columns.missing) missing[role].push_back(error);
  const std::size_t all = tables_.size() + side_tables_.size();
  bool no_loss = !tables_.empty();
  for (const Table& table : tables_) no_loss = no_loss && !table.columns[Role::loss];
  for (auto& [role, errors] : missing) {
    const std::size_t could = role == Role::loss ? tables_.size() : all;
    std::erase_if(errors, [&](const Error& error) {
      return role == Role::loss &&
             std::any_of(side_tables_.begin(), side_tables_.end(), [&](const Table& table) {
               return error.where->file == table.source.csv.file;
             });
    });
    if (errors.size() < could) continue;
    problems_.push_back(errors.front());
    no_loss = no_loss && role != Role::loss;
  }
  if (no_loss)
    problems_.push_back({.kind = ErrorKind::input,
                         .what = "no column looks like a loss",
                         .hint = fmt::format("--loss-key NAME, one of: {}",
                                             fmt::join(tables_.front().source.csv.names(), ", ")),
                         .where = SourceRef{.file = tables_.front().source.csv.file}});
}

void Importer::group() {
  std::map<std::string, std::size_t> histories;
  std::vector<Run> single;
  for (std::size_t t = 0; t < tables_.size(); ++t)
    for (Point& point : points_of(tables_[t], t, point_options_, problems_)) {
      if (!tables_[t].history) {
        single.push_back({point.run, {point}, false});
        continue;
      }
      const auto [place, is_new] = histories.emplace(point.run, runs_.size());
      if (is_new) runs_.push_back({point.run, {}, true});
      runs_[place->second].points.push_back(std::move(point));
    }

  // A row for a run that has a history tells about it, like a side table. Rows of one name are its
  // checkpoints where each has tokens of its own, else replicas.
  std::map<std::string, std::vector<Run>> same_name;
  std::vector<std::string> order;
  for (Run& run : single) {
    if (histories.contains(run.name)) {
      side_tables_.push_back(tables_[run.points[0].source]);
      side_.emplace(run.name, run.points[0]);
      side_used_.insert(run.name);
      continue;
    }
    std::vector<Run>& same = same_name[run.name];
    if (same.empty()) order.push_back(run.name);
    same.push_back(std::move(run));
  }
  for (const std::string& name : order) {
    std::vector<Run>& same = same_name[name];
    std::set<double> tokens;
    bool known = tables_[same[0].points[0].source].source.shape != Shape::runs;
    for (const Run& run : same) {
      known = known && run.points[0].tokens;
      tokens.insert(run.points[0].tokens.value_or(0));
    }
    if (same.size() > 1 && known && tokens.size() == same.size()) {
      Run merged{name, {}, true};
      for (Run& run : same) {
        run.points[0].step = run.points[0].tokens;
        merged.points.push_back(run.points[0]);
      }
      runs_.push_back(std::move(merged));
      continue;
    }
    for (std::size_t i = 0; i < same.size(); ++i) {
      if (i > 0) same[i].name = fmt::format("{} ({})", name, i + 1);
      replicas_ += i > 0 ? 1 : 0;
      runs_.push_back(std::move(same[i]));
    }
  }
}

// Points of one step become one, later cells over earlier ones; in the order of steps.
void Importer::merge_steps(Run& run) {
  std::map<double, Point> by_step;
  for (Point& point : run.points) {
    if (!point.step) continue;
    const auto [place, is_new] = by_step.emplace(*point.step, point);
    if (is_new) continue;
    Point& merged = place->second;
    for (auto member : {&Point::params,
                        &Point::tokens,
                        &Point::unique,
                        &Point::epochs,
                        &Point::weight,
                        &Point::tokens_per_step})
      if (point.*member) merged.*member = point.*member;
    if (!point.loss) continue;
    merged.loss = point.loss, merged.raw_loss = point.raw_loss;
    merged.source = point.source, merged.row = point.row;
  }
  if (by_step.empty()) return;  // a history without steps: what is there stands for itself
  run.points.clear();
  for (auto& [step, point] : by_step) run.points.push_back(std::move(point));
}

Facts Importer::facts_of(const std::string& run) {
  Facts facts;
  const std::string last = run.substr(run.find_last_of('/') + 1);
  for (const std::string& name : {run, last})
    if (const auto entry = side_.find(name); entry != side_.end()) {
      const Point& point = entry->second;
      facts = {point.params, point.tokens, point.unique, point.epochs, point.weight};
      side_used_.insert(name);
      break;
    }
  if (!pattern_) return facts;
  const auto values = pattern_->read(run);
  if (!values) {
    if (!facts.params || !facts.tokens)
      problems_.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("run {}: its name does not fit --name {}", run, options_.name),
           .hint = "{*} stands for any text; --runs FILE tells about runs by their names"});
    return facts;
  }
  std::string reading;
  for (const auto& [field, value] : *values) {
    std::optional<double>& fact = field == "params"   ? facts.params
                                  : field == "tokens" ? facts.tokens
                                  : field == "unique" ? facts.unique
                                                      : facts.epochs;
    if (!fact) fact = value;
    reading += fmt::format("{}{} {}", reading.empty() ? "" : ", ", field, value);
  }
  if (std::none_of(
          derived_.begin(), derived_.end(), [](const Guess& g) { return g.role == "run"; }))
    say("run", fmt::format("name {}: read as {}", run, reading));
  return facts;
}

// The last value that the run's rows give.
std::optional<double> Importer::own(const Run& run,
                                    Role role,
                                    std::optional<double> Point::*member) {
  for (auto point = run.points.rbegin(); point != run.points.rend(); ++point)
    if ((*point).*member) {
      for (const Point& any : run.points) use(any, role);
      return (*point).*member;
    }
  return std::nullopt;
}

std::optional<double> Importer::first_known(const Run& run,
                                            Role role,
                                            std::optional<double> Point::*member,
                                            const std::optional<double>& fact) {
  if (fact && !told(role)) return fact;
  const std::optional<double> value = own(run, role, member);
  return value ? value : fact;
}

// Tokens at a step out of those logged at some steps: on the line between neighbours, and in
// proportion to the step beyond them. A number that never changes is the run's total.
std::optional<double> Importer::logged_tokens(const Run& run, double step, double last) {
  std::vector<std::pair<double, double>> logged;
  for (const Point& point : run.points)
    if (point.tokens) {
      use(point, Role::tokens);
      logged.emplace_back(point.step.value_or(0), *point.tokens);
    }
  if (logged.empty()) return std::nullopt;
  if (!run.history) return logged.back().second;
  const bool constant = std::all_of(
      logged.begin(), logged.end(), [&](const auto& p) { return p.second == logged[0].second; });
  if (constant) {
    if (step == last || !(last > 0)) return logged[0].second;
    say("tokens", "tokens of a point: the run's tokens x step / its last step");
    return logged[0].second * step / last;
  }
  const auto after = std::lower_bound(
      logged.begin(), logged.end(), step, [](const auto& p, double s) { return p.first < s; });
  if (after != logged.end() && after->first == step) return after->second;
  if (after == logged.begin() || after == logged.end()) {
    const auto& [at, tokens] = after == logged.end() ? logged.back() : logged.front();
    return at > 0 ? tokens * step / at : tokens;
  }
  const auto before = after - 1;
  return before->second +
         (after->second - before->second) * (step - before->first) / (after->first - before->first);
}

std::optional<double> Importer::tokens_at(const Run& run,
                                          const Facts& facts,
                                          const Point& point,
                                          double last) {
  const double step = point.step.value_or(last);
  if (told(Role::tokens))
    if (const std::optional<double> tokens = logged_tokens(run, step, last)) return tokens;
  if (options_.tokens_per_step && point.step) return *point.step * *options_.tokens_per_step;
  if (facts.tokens) {
    if (!run.history || step == last || !(last > 0)) return facts.tokens;
    say("tokens", "tokens of a point: the run's tokens x step / its last step");
    return *facts.tokens * step / last;
  }
  if (const std::optional<double> tokens = logged_tokens(run, step, last)) return tokens;
  if (const auto a_step = own(run, Role::tokens_per_step, &Point::tokens_per_step);
      a_step && point.step) {
    const Columns& columns = tables_[point.source].columns;
    const auto name = [&](Role role) {
      const Column& column = columns[role];
      return column
                 ? tables_[point.source].source.csv.names()[static_cast<std::size_t>(column.index)]
                 : std::string(name_of(role));
    };
    say("tokens",
        columns[Role::tokens_per_step]
            ? fmt::format("tokens: {} x {}", name(Role::step), name(Role::tokens_per_step))
            : fmt::format("tokens: {} x {} x {}; say --tokens-per-step N otherwise",
                          name(Role::step),
                          name(Role::batch),
                          name(Role::length)));
    return *point.step * *a_step;
  }
  const auto unique = first_known(run, Role::unique, &Point::unique, facts.unique);
  const auto epochs = first_known(run, Role::epochs, &Point::epochs, facts.epochs);
  if (!unique || !epochs) return std::nullopt;
  say("tokens", "tokens: unique tokens x epochs");
  return run.history && last > 0 ? *unique * *epochs * step / last : *unique * *epochs;
}

// Unique tokens of a run that saw `tokens` in all.
double Importer::unique_of(const Run& run, const Facts& facts, double tokens) {
  if (const auto unique = first_known(run, Role::unique, &Point::unique, facts.unique))
    return *unique;
  if (const auto epochs = first_known(run, Role::epochs, &Point::epochs, facts.epochs)) {
    say("unique_tokens",
        "unique tokens: tokens / epochs; say --column unique_tokens=NAME otherwise");
    if (std::isfinite(*epochs) && *epochs > 0) return tokens / std::max(*epochs, 1.0);
    return *epochs;
  }
  ++seen_once_;
  return tokens;
}

std::vector<const Point*> Importer::chosen(const Run& run, double last) {
  std::vector<const Point*> points;
  for (const Point& point : run.points)
    if (point.loss) points.push_back(&point);
  if (run.history) {
    all_points_ += points.size();
    several_points_ += points.size() > 1 ? 1 : 0;
  }
  if (points.size() < 2) return points;
  if (options_.checkpoints) {
    std::erase_if(points, [&](const Point* point) {
      return point->step.value_or(last) < options_.drop_first * last;
    });
    return points;
  }
  if (options_.pick == Pick::last) return {points.back()};
  return {*std::min_element(points.begin(), points.end(), [](const Point* a, const Point* b) {
    return std::isnan(*b->loss) ? !std::isnan(*a->loss) : *a->loss < *b->loss;
  })};
}

bool Importer::sound(const Run& run, const Point& point, const ImportedRun& row) {
  const std::size_t before = problems_.size();
  const Table& table = tables_[point.source];
  const auto positive = [&](Role role, double value, std::string_view what) {
    if (std::isfinite(value) && value > 0) return;
    refuse(run,
           point,
           role,
           std::isfinite(value) ? fmt::format("{} {} is not above 0", what, value)
                                : fmt::format("{} is {}", what, value),
           std::isfinite(value) ? ""
                                : "a run that diverged is no data point; --where leaves it out, "
                                  "and points that were not logged: --where \"loss>0\"");
  };
  positive(Role::params, row.params, "params");
  positive(Role::tokens, row.tokens, "tokens");
  positive(Role::unique, row.unique, "unique tokens");
  positive(Role::weight, row.weight, "weight");
  if (table.columns[Role::loss].loss_unit == fit::LossUnit::perplexity && point.raw_loss > 0 &&
      point.raw_loss <= 1)
    refuse(
        run, point, Role::loss, fmt::format("a perplexity of {} is not above 1", point.raw_loss));
  else
    positive(Role::loss, row.loss, "loss");
  if (problems_.size() > before) return false;

  const auto too_few = [&](Role role, double value, double fewest, std::string_view what) {
    const Column& column = table.columns[role];
    if (!column || column.unit_told || !used_.contains({point.source, role}) || value >= fewest)
      return;
    refuse(run,
           point,
           role,
           fmt::format("{} {}: in which unit?", value, what),
           fmt::format("--unit {0}=billions, millions, … or 1 where it is meant", name_of(role)));
  };
  too_few(Role::params, row.params, kFewestParams, "parameters");
  if (!run.history) too_few(Role::tokens, row.tokens, kFewestTokens, "tokens");
  return problems_.size() == before;
}

void Importer::take(const Run& run) {
  const Facts facts = facts_of(run.name);
  double last = 0;
  for (const Point& point : run.points) last = std::max(last, point.step.value_or(0));
  const std::vector<const Point*> points = chosen(run, last);
  if (points.empty()) {
    refuse(run,
           run.points.front(),
           Role::loss,
           "no loss is there",
           "--loss-key names another column, --where leaves rows out");
    return;
  }
  const std::optional<double> params = first_known(run, Role::params, &Point::params, facts.params);
  if (!params) unknown_[Role::params].push_back(run.name);
  const std::optional<double> weight = own(run, Role::weight, &Point::weight);
  Point end = run.points.back();
  const std::optional<double> in_all = tokens_at(run, facts, end, last);
  if (!in_all) unknown_[Role::tokens].push_back(run.name);
  if (!params || !in_all) return;
  const double unique = unique_of(run, facts, *in_all);
  if (*in_all > 0 && unique > *in_all * (1 + kRounding))
    return refuse(
        run,
        *points.back(),
        Role::unique,
        fmt::format("{} unique tokens are more than the {} tokens seen", unique, *in_all));
  for (const Point* point : points) {
    const std::optional<double> tokens = tokens_at(run, facts, *point, last);
    if (!tokens) continue;
    ImportedRun row{
        .run = run.name,
        .params = *params,
        .tokens = *tokens,
        .unique = std::isfinite(unique) && *tokens > 0 ? std::min(unique, *tokens) : unique,
        .loss = *point->loss,
        .weight = weight.value_or(facts.weight.value_or(1))};
    if (run.history && point->step != point->tokens) row.step = point->step;
    if (!sound(run, *point, row)) continue;
    imported_.runs.push_back(std::move(row));
    rows_.push_back(point);
  }
}

void Importer::refuse_mixed_losses() {
  const double floor = options_.checkpoints ? fit::kHighestNats : fit::kHighestFinal;
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    const Column& column = tables_[t].columns[Role::loss];
    const bool perplexities = column.loss_unit == fit::LossUnit::perplexity;
    const bool open = perplexities || column.loss_unit == fit::LossUnit::nats;
    if (!column || column.unit_told || tables_[t].columns[Role::loss_unit] || !open) continue;
    std::vector<double> losses;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (rows_[i]->source == t) places.push_back(i), losses.push_back(rows_[i]->raw_loss);
    const std::vector<std::size_t> high = fit::perplexities_among(losses, floor);
    if (high.empty()) continue;
    for (std::size_t k = 0; k < losses.size(); ++k) {
      const bool is_high = std::binary_search(high.begin(), high.end(), k);
      if (is_high == perplexities) continue;
      problems_.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("run {}: mixed units of loss: {} looks like {} among {}",
                               imported_.runs[places[k]].run,
                               losses[k],
                               is_high ? "a perplexity" : "nats",
                               is_high ? "nats" : "perplexities"),
           .hint = "convert it, leave it out with --where, or say --unit loss=" +
                   std::string(fit::name_of(column.loss_unit)) + " if all are in that unit",
           .where = tables_[t].place(rows_[places[k]]->row, Role::loss)});
    }
  }
}

void Importer::report() {
  for (const auto& [role, runs] : unknown_) {
    const std::size_t shown = std::min<std::size_t>(runs.size(), 5);
    problems_.push_back(
        {.kind = ErrorKind::input,
         .what = fmt::format(
             "{} of {} run{} unknown: {}{}",
             role == Role::params ? "params" : "tokens",
             runs.size(),
             runs.size() == 1 ? " is" : "s are",
             fmt::join(runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
             shown < runs.size() ? ", …" : ""),
         .hint =
             fmt::format("--column {0}=NAME, --runs FILE (a table by run name), --name PATTERN{1}",
                         name_of(role),
                         role == Role::tokens ? ", or --tokens-per-step N" : "")});
  }
  for (std::size_t t = 0; t < tables_.size(); ++t)
    for (const Guess& guess : tables_[t].columns.guesses) {
      const bool used =
          guess.role == "loss" || std::any_of(used_.begin(), used_.end(), [&](const auto& u) {
            return u.first == t && name_of(u.second) == guess.role;
          });
      const bool said = std::any_of(imported_.guesses.begin(),
                                    imported_.guesses.end(),
                                    [&](const Guess& g) { return g.text == guess.text; });
      if (used && !said) imported_.guesses.push_back(guess);
    }
  for (const Table& table : side_tables_)
    for (const Guess& guess : table.columns.guesses)
      if (guess.role != "loss" &&
          std::none_of(imported_.guesses.begin(), imported_.guesses.end(), [&](const Guess& g) {
            return g.text == guess.text;
          }))
        imported_.guesses.push_back(guess);
  for (Guess& guess : derived_) imported_.guesses.push_back(std::move(guess));
  if (seen_once_ > 0)
    imported_.guesses.push_back({"unique_tokens",
                                 "",
                                 "",
                                 "",
                                 "unique tokens: nothing says them, every token is taken as seen "
                                 "once; say --column unique_tokens=NAME or epochs=NAME otherwise"});

  std::vector<std::string>& notes = imported_.notes;
  std::size_t left_out = 0, unfinished = 0;
  for (const Table& table : tables_) left_out += table.left_out, unfinished += table.unfinished;
  if (left_out > 0) notes.push_back(fmt::format("--where left out {} rows", left_out));
  if (unfinished > 0)
    notes.push_back(fmt::format("{} left out that did not finish; --unfinished keeps such runs",
                                runs_in_words(unfinished)));
  if (replicas_ > 0)
    notes.push_back(fmt::format("{} numbered, for the name was taken", runs_in_words(replicas_)));
  if (several_points_ > 0)
    notes.push_back(
        options_.checkpoints
            ? fmt::format(
                  "{} of {} logged points are kept as checkpoints; those of the first {} % of a "
                  "run are not (--drop-first)",
                  imported_.runs.size(),
                  all_points_,
                  options_.drop_first * 100)
            : fmt::format("{} with several logged points: the {} one is taken; --checkpoints "
                          "keeps all",
                          runs_in_words(several_points_),
                          options_.pick == Pick::last ? "last" : "best"));
  std::size_t idle = 0;
  for (const auto& [name, point] : side_) idle += side_used_.contains(name) ? 0 : 1;
  if (idle > 0)
    notes.push_back(fmt::format("--runs names {} not to be found here", runs_in_words(idle)));
}

Result<Imported> Importer::import(const std::vector<Path>& paths) {
  if (!options_.name.empty()) {
    Result<NamePattern> pattern = NamePattern::parse(options_.name);
    if (!pattern) return std::move(pattern).error();
    pattern_ = std::move(*pattern);
  }
  for (Result<void> done : {read(paths), read_side_table()})
    if (!done) problems_.push_back(std::move(done).error());
  if (problems_.empty()) check_columns();
  if (!problems_.empty()) return combine(std::move(problems_), "the runs cannot be imported");

  group();
  if (problems_.empty()) {
    for (Run& run : runs_)
      if (run.history) merge_steps(run);
    for (const Run& run : runs_) take(run);
    if (problems_.empty()) refuse_mixed_losses();
    report();
  }
  if (problems_.empty() && imported_.runs.empty())
    problems_.push_back({.kind = ErrorKind::input,
                         .what = "no run is left",
                         .hint = fmt::format("{}", fmt::join(imported_.notes, "; "))});
  if (!problems_.empty()) {
    std::string summary = fmt::format("{} rows cannot be imported", problems_.size());
    return combine(std::move(problems_), std::move(summary));
  }
  return std::move(imported_);
}

}  // namespace

std::vector<Error> check(const Options& options) {
  std::vector<Error> problems = check(options.columns);
  const auto positive =
      [&](const std::optional<double>& value, const char* option, const char* hint) {
        if (value && !(*value > 0 && std::isfinite(*value)))
          problems.push_back({.kind = ErrorKind::usage,
                              .what = fmt::format("--{} {} is not above 0", option, *value),
                              .hint = hint});
      };
  positive(options.tokens_per_step, "tokens-per-step", "sequences a step times tokens a sequence");
  positive(options.bytes_per_token, "bytes-per-token", "bytes of the text / its tokens, about 4");
  if (!(options.drop_first >= 0 && options.drop_first < 1))
    problems.push_back({.kind = ErrorKind::usage,
                        .what = fmt::format("--drop-first {}", options.drop_first),
                        .hint = "a share from 0 to below 1; the default is 0.1"});
  return problems;
}

Result<Imported> import_runs(Files& files, const std::vector<Path>& paths, const Options& options) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the options of the import are wrong");
  return Importer(files, options).import(paths);
}

std::string to_csv(const Imported& imported) {
  const auto& runs = imported.runs;
  const bool steps = std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.step; });
  const bool weights =
      std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.weight != 1; });
  std::string text = "params,tokens,unique_tokens,loss,run,epochs";
  text += steps ? ",step" : "";
  text += weights ? ",weight\n" : "\n";
  for (const ImportedRun& run : runs) {
    text += fmt::format("{},{},{},{},{},{}",
                        run.params,
                        run.tokens,
                        run.unique,
                        run.loss,
                        fit::csv_cell(run.run),
                        run.tokens / run.unique);
    if (steps) text += run.step ? fmt::format(",{}", *run.step) : ",";
    if (weights) text += fmt::format(",{}", run.weight);
    text += '\n';
  }
  return text;
}

Json to_json(const Imported& imported) {
  Json runs = Json::array(), guesses = Json::array();
  for (const ImportedRun& run : imported.runs)
    runs.push_back({{"run", run.run},
                    {"params", run.params},
                    {"tokens", run.tokens},
                    {"unique_tokens", run.unique},
                    {"epochs", run.tokens / run.unique},
                    {"loss", run.loss},
                    {"weight", run.weight},
                    {"step", run.step ? Json(*run.step) : Json(nullptr)}});
  const auto optional = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  for (const Guess& guess : imported.guesses)
    guesses.push_back({{"role", guess.role},
                       {"file", optional(guess.file)},
                       {"column", optional(guess.column)},
                       {"unit", optional(guess.unit)},
                       {"text", guess.text}});
  return {{"schema", "ration.import/1"},
          {"runs", std::move(runs)},
          {"guesses", std::move(guesses)},
          {"notes", imported.notes}};
}

}  // namespace ration::import
