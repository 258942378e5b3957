#include "loop/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/hash.h"
#include "base/text.h"
#include "fit/choice.h"
#include "plan/next.h"

namespace ration::loop {
namespace {

constexpr double kFirstShare = 1.0 / 8;  // of what may be spent, while there is no fit
constexpr double kShare = 1.0 / 24;      // and for each later round

std::string flops_text(double flops) { return format_quantity(flops, "flop"); }

fit::Options fit_options(const Options& options) {
  fit::Options fit{.law = options.law == "auto" ? fit::Options().law : options.law};
  fit.delta = options.delta;
  fit.resamples = options.resamples;
  fit.seed = options.seed;
  fit.threads = options.threads;
  return fit;
}

fit::Points points_of(std::span<const Run* const> runs) {
  fit::Points points;
  for (const Run* run : runs) points.add(run->params, run->tokens, run->unique);
  return points;
}

Json options_json(const Options& options) {
  const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return {{"until", options.goal.text},
          {"budget", options.plan.budget.value},
          {"unique_tokens", options.plan.unique.value},
          {"law", options.law},
          {"delta", options.delta},
          {"spend", finite(options.spend.value)},
          {"batch", options.batch},
          {"gain", options.gain ? Json(static_cast<int>(*options.gain)) : Json()},
          {"gamma", options.gamma},
          {"misfit", options.misfit.size},
          {"reach", options.misfit.reach},
          {"resamples", options.resamples},
          {"seed", options.seed},
          {"keep_going", options.keep_going}};
}

// What a decision is a function of, as a digest.
std::string digest(std::span<const Run* const> runs, const Json& options, int round) {
  Json rows = Json::array();
  for (const Run* run : runs)
    rows.push_back({run->id,
                    static_cast<int>(run->status),
                    run->status == RunStatus::done ? Json(run->loss.value) : Json(),
                    run->chosen});
  const Json all = {{"options", options}, {"round", round}, {"runs", rows}};
  return sha256_hex(canonical_json(all).value_or("")).substr(0, 32);
}

class Step {
 public:
  Step(std::span<const Run> runs, const Options& options, int round) : options_(options) {
    for (const Run& run : runs) runs_.push_back(&run);
    std::sort(runs_.begin(), runs_.end(), [](const Run* a, const Run* b) { return a->id < b->id; });
    out_.decision.round = round;
    out_.decision.options = options_json(options);
    out_.decision.made_from = digest(runs_, out_.decision.options, round);
    out_.decision.goal = unmeasured(options.goal);
    count();
  }

  Result<Decided> take() {
    if (Result<void> fitted = fit(); !fitted) return std::move(fitted).error();
    Decision& decision = out_.decision;
    if (decision.trusted && std::all_of(decision.goal.begin(),
                                        decision.goal.end(),
                                        [](const Measured& m) { return m.reached; })) {
      conclude(Verdict::reached, "the goal is reached");
    } else if (!unfinished_.empty() && !options_.keep_going) {
      conclude(Verdict::failures,
               fmt::format("{} runs of the loop have no result; `ration explain {}` says why of "
                           "the first",
                           unfinished_.size(),
                           unfinished_.front()->id.substr(0, 12)));
    } else if (open_.empty()) {
      conclude(Verdict::used_up, "no run of the sweep is left");
    } else if (!enough() && settings_in_reach() < settings_needed()) {
      conclude(
          Verdict::used_up,
          fmt::format("the sweep has {} settings, and a fit of {} begins with {}: nothing that "
                      "could be trained reaches the goal",
                      settings_in_reach(),
                      first_law().name(),
                      settings_needed()));
    } else {
      choose();
    }
    return std::move(out_);
  }

 private:
  void count() {
    Decision& decision = out_.decision;
    for (const Run* run : runs_) {
      const double flops = cost(*run).value;
      total_ += flops;
      const bool ended = run->status == RunStatus::done || run->status == RunStatus::diverged;
      if (run->chosen) decision.spent_flops += flops;
      if (!run->chosen && ended) decision.free_flops += flops;
      if (run->chosen && (run->status == RunStatus::failed || run->status == RunStatus::open))
        unfinished_.push_back(run);
      decision.done += run->status == RunStatus::done;
      decision.diverged += run->status == RunStatus::diverged;
      decision.failed += run->status == RunStatus::failed;
      if (run->status == RunStatus::open && !run->chosen) open_.push_back(run);
      if (run->status == RunStatus::done) {
        done_.push_back(run);
        cells_.insert(run->cell);
      }
    }
    decision.open = static_cast<std::int64_t>(open_.size());
    left_ = options_.spend.value - decision.spent_flops;
  }

  const fit::Law& first_law() const { return *fit::find_law(fit_options(options_).law); }
  std::size_t settings_needed() const { return first_law().size() + 2; }
  // Settings that are finished or may be.
  std::size_t settings_in_reach() const {
    std::set<std::string> cells = cells_;
    for (const Run* run : open_) cells.insert(run->cell);
    return cells.size();
  }
  bool enough() const { return cells_.size() >= settings_needed(); }

  Result<void> fit() {
    if (!enough()) {
      out_.decision.doubt = fmt::format(
          "{} of the {} settings that a fit begins with", cells_.size(), settings_needed());
      return {};
    }
    std::vector<fit::Observation> observations;
    for (const Run* run : done_)
      observations.push_back({.params = run->params,
                              .tokens = run->tokens,
                              .unique = run->unique,
                              .loss = run->loss,
                              .cell = run->cell});
    Result<fit::Fit> fit = fitted(observations);
    if (!fit) {
      if (fit.error().kind == ErrorKind::usage) return std::move(fit).error();
      out_.decision.doubt = fit.error().what;
      return {};
    }
    Result<plan::Plan> plan = plan::make_plan(*fit, options_.plan);
    if (!plan) return std::move(plan).error();
    Decision& decision = out_.decision;
    decision.law = fit->law->name();
    decision.trusted = fit->trusted();
    for (const fit::Doubt& doubt : fit->doubts)
      if (doubt.fatal && decision.doubt.empty())
        decision.doubt = fmt::format("{}: {}", doubt.subject, doubt.what);
    decision.goal = measure(options_.goal, *fit, *plan);
    out_.fit = std::move(*fit);
    out_.plan = std::move(*plan);
    return {};
  }

  Result<fit::Fit> fitted(const std::vector<fit::Observation>& observations) {
    fit::Options wanted = fit_options(options_);
    if (options_.law != "auto") return fit::fit_law(observations, wanted);
    Result<fit::Choice> choice = fit::choose_law(observations, wanted, fit::beyond(observations));
    if (!choice) return std::move(choice).error();
    wanted.law = choice->candidates.front().law->name();
    Result<fit::Fit> fit = fit::fit_law(observations, wanted);
    if (fit) fit->candidates = std::move(choice->candidates);
    return fit;
  }

  void conclude(Verdict verdict, std::string why) {
    out_.decision.verdict = verdict;
    out_.decision.why = std::move(why);
  }

  // ---- The next runs ----------------------------------------------------------------------------

  // A fit that is not to be trusted may say that repeats cost nothing, and would never ask for the
  // runs that show what they cost.
  bool fit_chooses() const { return out_.fit && out_.decision.trusted; }

  // Settings that no finished run has, by their first open run; and open replicas of the others.
  std::vector<const Run*> new_settings() const {
    std::vector<const Run*> chosen;
    std::set<std::string> seen = cells_;
    for (const Run* run : open_)
      if (seen.insert(run->cell).second) chosen.push_back(run);
    return chosen;
  }
  std::vector<const Run*> replicas() const {
    std::vector<const Run*> chosen;
    std::set<std::string> seen;
    for (const Run* run : open_)
      if (cells_.contains(run->cell) && seen.insert(run->cell).second) chosen.push_back(run);
    return chosen;
  }

  // What the goal asks for decides what is bought, unless the options do.
  fit::Gain gain() const {
    const auto all = [&](auto&& is) {
      return std::all_of(options_.goal.conditions.begin(), options_.goal.conditions.end(), is);
    };
    const auto allocated = [](const Condition& c) {
      return c.quantity == "epochs" || c.quantity == "params" || c.quantity == "tokens";
    };
    if (options_.gain) return *options_.gain;
    if (options_.law != "auto" && all(allocated)) return fit::Gain::decision;
    const bool of_the_law =
        all([&](const Condition& c) { return !allocated(c) && c.quantity != "loss"; });
    return of_the_law ? fit::Gain::determinant : fit::Gain::prediction;
  }

  fit::Choosing choosing(double spend, int count) const {
    fit::Choosing choosing;
    choosing.gain = gain();
    choosing.spend = spend;
    choosing.count = count;
    choosing.gamma = options_.gamma;
    return choosing;
  }

  // Where the plan is, and a factor of 1.5 to both sides.
  fit::Points targets() const {
    constexpr double kAside = 1.5;
    fit::Fit around;
    if (fit_chooses()) {
      around = *out_.fit;
    } else {
      const fit::Law& law = first_law();
      const fit::Coordinates typical = law.typical();
      around.law = &law;
      for (std::size_t j = 0; j < law.size(); ++j)
        around.parameters.push_back({.name = std::string(law.parameters()[j].name),
                                     .value = law.parameters()[j].value(typical[j])});
    }
    around.draws.clear();  // only the places are wanted
    const double best = plan::optimise(*around.law, around.coordinates(), options_.plan).params;
    fit::Points points;
    for (const plan::Allocation& place : plan::trace(around, options_.plan, best, kAside, 3))
      points.add(Params(place.params.value),
                 Tokens(place.tokens.value),
                 Tokens(std::min(place.tokens.value, options_.plan.unique.value)));
    return points;
  }

  fit::Selection first_look(const std::vector<const Run*>& from, double spend, int count) const {
    fit::Choosing wanted = choosing(spend, count);
    wanted.gain = fit::Gain::determinant;
    wanted.gamma = options_.gamma / 2;  // the cheapest runs alone lie in one corner of the sweep
    return by_design({{&first_law(), first_law().typical()}}, from, wanted);
  }

  fit::Selection by_design(const std::vector<fit::Mode>& modes,
                           const std::vector<const Run*>& from,
                           const fit::Choosing& wanted) const {
    if (from.empty()) return {};
    std::vector<double> log_loss;
    for (const Run* run : done_) log_loss.push_back(std::log(run->loss.value));
    const std::vector<double> weights(done_.size(), 1);
    return fit::choose_runs(
        fit::believe(modes, points_of(done_), log_loss, weights, options_.misfit),
        points_of(from),
        targets(),
        wanted);
  }

  fit::Selection by_fit(const std::vector<const Run*>& from, double spend, int count) const {
    if (from.empty()) return {};
    const plan::NextRequest request{
        .plan = options_.plan, .choosing = choosing(spend, count), .misfit = options_.misfit};
    Result<plan::NextRuns> next = plan::choose_next(*out_.fit, points_of(from), request);
    return next ? std::move(next->selection) : fit::Selection();
  }

  fit::Selection by_replicas(const std::vector<const Run*>& from, double spend, int count) const {
    fit::Choosing wanted = choosing(spend, count);
    if (wanted.gain == fit::Gain::decision) wanted.gain = fit::Gain::prediction;
    return by_design(fit::modes_of(*out_.fit), from, wanted);
  }

  void choose() {
    const bool by_law = fit_chooses();
    const double purse = std::min(options_.spend.value, total_);
    const double share = std::min(left_, purse * (out_.fit ? kShare : kFirstShare));
    const int missing = static_cast<int>(settings_needed()) - static_cast<int>(cells_.size());
    const int count = std::max(options_.batch, missing);
    const std::vector<const Run*> fresh = new_settings(), again = replicas();
    const auto first = [&](double spend, int n) {
      return by_law ? by_fit(fresh, spend, n) : first_look(fresh, spend, n);
    };
    const std::vector<const Run*>* from = &fresh;
    fit::Selection selection = first(share, count);
    if (selection.runs.empty()) selection = first(left_, 1);
    if (selection.runs.empty() && out_.fit) {
      from = &again;
      selection = by_replicas(again, share, count);
      if (selection.runs.empty()) selection = by_replicas(again, left_, 1);
    }
    if (selection.runs.empty()) return nothing_to_buy();
    for (const fit::Chosen& chosen : selection.runs) {
      const Run& run = *(*from)[chosen.candidate];
      out_.decision.runs.push_back({.run = run.id,
                                    .params = run.params.value,
                                    .tokens = run.tokens.value,
                                    .unique_tokens = run.unique.value,
                                    .flops = cost(run).value,
                                    .gain = chosen.gain,
                                    .disagreement = chosen.disagreement});
    }
    explain(selection, from == &again);
  }

  void explain(const fit::Selection& selection, bool replicas) {
    const fit::Outlook& outlook = selection.outlook;
    if (!fit_chooses() && !replicas)
      return conclude(
          Verdict::start,
          fmt::format("they tell most about a law with typical parameters, for there is no {}",
                      out_.fit ? "trusted fit" : "fit"));
    out_.decision.outlook = outlook;
    conclude(Verdict::start,
             fmt::format("{}expected error of the loss at the plan {:.2g} % now, {:.2g} % then",
                         replicas ? "no new setting is left, so they repeat some; " : "",
                         100 * outlook.error_before,
                         100 * outlook.error_after));
  }

  void nothing_to_buy() {
    double cheapest = HUGE_VAL;
    for (const Run* run : open_) cheapest = std::min(cheapest, cost(*run).value);
    if (cheapest > left_)
      return conclude(Verdict::spent,
                      fmt::format("{} are left to spend, and the cheapest run costs {}",
                                  flops_text(std::max(0.0, left_)),
                                  flops_text(cheapest)));
    conclude(Verdict::used_up,
             out_.fit ? "no run that is left would tell more about the plan"
                      : "the sweep has no other settings than those that are finished");
  }

  const Options& options_;
  std::vector<const Run*> runs_, done_, open_, unfinished_;  // by run-id
  std::set<std::string> cells_;                              // of the runs that are done
  double total_ = 0;                                         // FLOPs of the whole sweep
  double left_ = 0;
  Decided out_;
};

}  // namespace

Flops cost(const Run& run) { return training_flops(run.params, run.tokens); }

std::string_view name(Verdict verdict) {
  static constexpr std::array<std::string_view, 5> kNames = {
      "start", "reached", "spent", "used up", "failures"};
  return kNames[static_cast<std::size_t>(verdict)];
}

std::vector<Error> check(const Options& options) {
  const auto wrong = [](std::string what, std::string hint) {
    return Error{.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
  };
  std::vector<Error> problems = plan::check(options.plan);
  for (Error& problem : fit::check(fit_options(options))) problems.push_back(std::move(problem));
  if (options.goal.conditions.empty())
    problems.push_back(wrong("the loop has no goal", "--until \"interval(epochs) < 25%\""));
  if (const fit::Law* law = fit::find_law(options.law); law != nullptr && !law->allocates())
    problems.push_back(wrong(fmt::format("the law {} weighs no parameters against tokens, so that "
                                         "nothing can be planned with it",
                                         options.law),
                             "--law data-constrained"));
  if (!(options.spend.value > 0)) problems.push_back(wrong("nothing to spend", "--spend 1e15flop"));
  if (options.batch < 1 || options.batch > 1024)
    problems.push_back(wrong(fmt::format("{} runs a round", options.batch), "1 to 1024"));
  if (options.resamples < 2)
    problems.push_back(wrong("no resamples, so there is no interval", "100 or more"));
  if (!(options.gamma >= 0 && options.gamma <= 2))
    problems.push_back(wrong(fmt::format("a gamma of {:g}", options.gamma), "0 to 2"));
  for (Error& problem : check(options.misfit)) problems.push_back(std::move(problem));
  return problems;
}

bool Decision::operator==(const Decision& other) const {
  return round == other.round && verdict == other.verdict && why == other.why &&
         made_from == other.made_from && options == other.options && goal == other.goal &&
         runs == other.runs;
}

Result<Decided> decide(std::span<const Run> runs, const Options& options, int round) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the loop cannot be started");
  return Step(runs, options, round).take();
}

}  // namespace ration::loop
