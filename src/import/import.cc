#include "import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.h"
#include "import/knowledge.h"

namespace ration::import {
namespace {

// Unique tokens may exceed tokens by rounding when they are computed from epochs.
constexpr double kRounding = 1e-9;

// Below these a column cannot be counts of ones: nobody trains a model of 999 parameters, or on
// 9,999 tokens.
constexpr double kFewestParams = 1000, kFewestTokens = 10000;

class Importer {
 public:
  Importer(const Options& options, Inputs& inputs, Runs runs, std::optional<NamePattern> pattern)
      : options_(options),
        inputs_(inputs),
        runs_(std::move(runs)),
        knowledge_(options, std::move(pattern), inputs, problems_) {}

  // What came of the runs; of no use where there are problems.
  Imported import();
  std::vector<Error> problems() && { return std::move(problems_); }

 private:
  void take(const Run& run);
  std::vector<const Point*> chosen(const Run& run, double last);
  bool sound(const Run& run, const Point& point, const ImportedRun& row);
  void refuse_mixed_losses();
  void refuse_unknown();
  void tell_guesses();
  void tell_notes();
  void refuse(
      const Run& run, const Point& point, Role role, std::string what, std::string hint = {}) {
    problems_.push_back({.kind = ErrorKind::input,
                         .what = fmt::format("run {}: {}", run.name, what),
                         .hint = std::move(hint),
                         .where = inputs_.tables[point.source].place(point.row, role)});
  }

  const Options& options_;
  Inputs& inputs_;
  Runs runs_;
  std::vector<Error> problems_;
  Knowledge knowledge_;
  std::vector<const Point*> rows_;                    // behind each of imported_.runs
  std::map<Role, std::vector<std::string>> unknown_;  // runs of which nobody knows it
  std::size_t several_points_ = 0, all_points_ = 0;
  Imported imported_;
};

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
  const Table& table = inputs_.tables[point.source];
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
    if (!column || column.unit_told || !knowledge_.used(point.source, role) || value >= fewest)
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
  const Facts facts = knowledge_.facts_of(run.name);
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
  const std::optional<double> params = knowledge_.params_of(run, facts);
  if (!params) unknown_[Role::params].push_back(run.name);
  const std::optional<double> weight = knowledge_.weight_of(run);
  Point end = run.points.back();
  const std::optional<double> in_all = knowledge_.tokens_at(run, facts, end, last);
  if (!in_all) unknown_[Role::tokens].push_back(run.name);
  if (!params || !in_all) return;
  const double unique = knowledge_.unique_of(run, facts, *in_all);
  if (*in_all > 0 && unique > *in_all * (1 + kRounding))
    return refuse(
        run,
        *points.back(),
        Role::unique,
        fmt::format("{} unique tokens are more than the {} tokens seen", unique, *in_all));
  for (const Point* point : points) {
    const std::optional<double> tokens = knowledge_.tokens_at(run, facts, *point, last);
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
  for (std::size_t t = 0; t < inputs_.tables.size(); ++t) {
    const Column& column = inputs_.tables[t].columns[Role::loss];
    const bool perplexities = column.loss_unit == fit::LossUnit::perplexity;
    const bool open = perplexities || column.loss_unit == fit::LossUnit::nats;
    if (!column || column.unit_told || inputs_.tables[t].columns[Role::loss_unit] || !open)
      continue;
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
           .where = inputs_.tables[t].place(rows_[places[k]]->row, Role::loss)});
    }
  }
}

void Importer::refuse_unknown() {
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
}

void Importer::tell_guesses() {
  for (std::size_t t = 0; t < inputs_.tables.size(); ++t)
    for (const Guess& guess : inputs_.tables[t].columns.guesses) {
      const bool used = guess.role == "loss" || knowledge_.used(t, guess.role);
      const bool said = std::any_of(imported_.guesses.begin(),
                                    imported_.guesses.end(),
                                    [&](const Guess& g) { return g.text == guess.text; });
      if (used && !said) imported_.guesses.push_back(guess);
    }
  for (const Table& table : inputs_.side_tables)
    for (const Guess& guess : table.columns.guesses)
      if (guess.role != "loss" &&
          std::none_of(imported_.guesses.begin(), imported_.guesses.end(), [&](const Guess& g) {
            return g.text == guess.text;
          }))
        imported_.guesses.push_back(guess);
  for (const Guess& guess : knowledge_.derived()) imported_.guesses.push_back(guess);
  if (knowledge_.seen_once() > 0)
    imported_.guesses.push_back({"unique_tokens",
                                 "",
                                 "",
                                 "",
                                 "unique tokens: nothing says them, every token is taken as seen "
                                 "once; say --column unique_tokens=NAME or epochs=NAME otherwise"});
}

void Importer::tell_notes() {
  std::vector<std::string> notes = inputs_.notes;
  std::size_t left_out = 0, unfinished = 0;
  for (const Table& table : inputs_.tables)
    left_out += table.left_out, unfinished += table.unfinished;
  if (left_out > 0) notes.push_back(fmt::format("--where left out {}", counted(left_out, "row")));
  if (unfinished > 0)
    notes.push_back(fmt::format("{} left out that did not finish; --unfinished keeps such runs",
                                counted(unfinished, "run")));
  if (runs_.replicas > 0)
    notes.push_back(
        fmt::format("{} numbered, for the name was taken", counted(runs_.replicas, "run")));
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
                          counted(several_points_, "run"),
                          options_.pick == Pick::last ? "last" : "best"));
  std::size_t idle = 0;
  for (const auto& [name, point] : inputs_.side) idle += inputs_.side_used.contains(name) ? 0 : 1;
  if (idle > 0)
    notes.push_back(fmt::format("--runs names {} not to be found here", counted(idle, "run")));
  imported_.notes = std::move(notes);
}

Imported Importer::import() {
  for (const Run& run : runs_.all) take(run);
  if (problems_.empty()) refuse_mixed_losses();
  refuse_unknown();
  tell_guesses();
  tell_notes();
  if (problems_.empty() && imported_.runs.empty())
    problems_.push_back({.kind = ErrorKind::input,
                         .what = "no run is left",
                         .hint = fmt::format("{}", fmt::join(imported_.notes, "; "))});
  return std::move(imported_);
}

Error unusable(std::vector<Error> problems) {
  std::string summary = fmt::format("{} cannot be imported", counted(problems.size(), "row"));
  return combine(std::move(problems), std::move(summary));
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
  std::optional<NamePattern> pattern;
  if (!options.name.empty()) {
    Result<NamePattern> parsed = NamePattern::parse(options.name);
    if (!parsed) return std::move(parsed).error();
    pattern = std::move(*parsed);
  }
  const PointOptions point_options{.columns = options.columns,
                                   .where = options.where,
                                   .tokens_per_step = options.tokens_per_step,
                                   .bytes_per_token = options.bytes_per_token,
                                   .unfinished = options.unfinished};
  std::vector<Error> problems;
  Inputs inputs = read_inputs(files, paths, options, point_options, problems);
  if (!problems.empty()) return combine(std::move(problems), "the runs cannot be imported");
  Runs runs = runs_of(inputs, point_options, problems);
  if (!problems.empty()) return unusable(std::move(problems));
  Importer importer(options, inputs, std::move(runs), std::move(pattern));
  Imported imported = importer.import();
  problems = std::move(importer).problems();
  if (!problems.empty()) return unusable(std::move(problems));
  return imported;
}

}  // namespace ration::import
