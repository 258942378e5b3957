#pragma once

// One step of the loop: from the runs of a sweep, as far as they are finished, to the runs that are
// started next, or to the reason why none is.
//
//   Result<Decided> decided = decide(runs, options, round);
//   if (decided->decision.verdict == Verdict::start) …train decided->decision.runs…
//
// A pure function: equal runs, options and round give the same decision, bit for bit, in any order
// of the runs and with any number of threads. Nothing here knows files, stores or processes.
//
// While fewer settings are finished than the law needs (its parameters and two), runs are chosen
// around the law's typical coordinates so that they tell most about all of its parameters; then by
// plan::choose_next around what was fitted. Replicas come when no new setting is left. A round
// spends at most 1/24 of what may be spent (1/8 before the first fit), so that what is learnt can
// still change what is bought; where that buys nothing, one run of whatever is left.
// Cost: a fit with its resamples and a choice, 0.2 s to 2 s.

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "fit/design.h"
#include "loop/goal.h"
#include "plan/plan.h"

namespace ration::loop {

enum class RunStatus {
  open,       // may be started, or is under way
  done,       // a data point
  diverged,   // a result, but no data point
  failed,     // its retries are used up, or its settings cannot be used
  cancelled,  // taken out by a person, or by a rule of the sweep
};

// A run of the sweep.
struct Run {
  std::string id;    // run-id
  std::string cell;  // replicas share it
  Params params;
  Tokens tokens;
  Tokens unique;
  RunStatus status = RunStatus::open;
  Loss loss{0};         // held out, nats a token; of a run that is done
  bool chosen = false;  // by an earlier decision of this loop, which pays for it
};

// 6 N D, as a plan counts: what a run costs whether it is finished, diverges or fails.
Flops cost(const Run& run);

struct Options {
  Goal goal;
  plan::Request plan;  // what is to be planned: the goal's quantities are of this plan
  // A law's name, or "auto": chosen anew in every round (fit/choice.h).
  std::string law = "data-constrained";
  double delta = 1e-3;  // as in fit::Options
  // Most FLOPs for the runs of this loop together, above 0; infinite = no limit. What was finished
  // without the loop is free.
  Flops spend{HUGE_VAL};
  // Runs a round, 1 to 1024; the first round may be larger, for a law needs its settings. The more,
  // the fewer rounds, and the less each is chosen from.
  int batch = 4;
  // What runs are chosen for (fit/design.h). Nothing: what the goal asks for. decision where it
  // names epochs, params or tokens alone (over 20 simulated sweeps 3.3 % of the compute of all
  // runs, where prediction took 16 %); determinant where it names parameters of the law alone;
  // prediction else, and under "auto", since that alone tells laws apart.
  std::optional<fit::Gain> gain = {};
  // Gains are divided by cost^gamma, 0 to 2. A loop can come back for more, so cheap knowledge
  // comes first: over 20 simulated sweeps prediction with 1 spent half of what it did with 0.5, in
  // a fifth more runs. But those sweeps followed the law exactly; real ones do so less the
  // farther (and cheaper) runs are from the plan.
  double gamma = 0.5;
  fit::Misfit misfit = {};  // as in plan::NextRequest
  int resamples = 400;      // behind the intervals, as in fit::Options
  std::uint64_t seed = 0;   // of the resamples
  bool keep_going = false;  // whether failed runs are passed over instead of ending the loop
  int threads = 0;          // 0 = all cores; changes no number
};

// All that is wrong with them (ErrorKind::usage).
std::vector<Error> check(const Options& options);

enum class Verdict {
  start,     // these runs next
  reached,   // the goal
  spent,     // what is left of `spend` buys no run that is left
  used_up,   // no run is left
  failures,  // runs of the loop failed, or could not be finished
};
std::string_view name(Verdict verdict);

// A run that was decided on.
struct Pick {
  std::string run;  // run-id
  double params = 0, tokens = 0, unique_tokens = 0;
  double flops = 0;
  double gain = 0;          // by Options::gain, when it was taken
  double disagreement = 0;  // the part of it that tells minima and laws apart

  bool operator==(const Pick&) const = default;
};

struct Decision {
  int round = 1;
  Verdict verdict = Verdict::start;
  std::string why;        // one sentence
  std::string made_from;  // digest of runs, options and round: 32 hex digits
  Json options;           // as they were asked

  std::int64_t done = 0, diverged = 0, failed = 0, open = 0;  // runs of the sweep
  double free_flops = 0;   // of finished runs that the loop did not choose
  double spent_flops = 0;  // of the runs that it chose

  std::string law;             // empty: too few settings for a fit
  bool trusted = false;        // the fit
  std::string doubt;           // why there is no trusted fit
  std::vector<Measured> goal;  // one a condition
  std::vector<Pick> runs;      // to be started; empty unless Verdict::start
  // Standard error of ln L at the plan as the choice expects it; where one was made by a fit.
  std::optional<fit::Outlook> outlook;

  bool operator==(const Decision& other) const;
};

// The decision and what it rests on.
struct Decided {
  Decision decision;
  std::optional<fit::Fit> fit;
  std::optional<plan::Plan> plan;
};

// Errors: check(options). A fit that fails for want of runs is a decision, not an error.
Result<Decided> decide(std::span<const Run> runs, const Options& options, int round);

}  // namespace ration::loop
