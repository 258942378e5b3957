#pragma once

// The price list of remedies: what each thing that was tried against a shortage of text is worth,
// on one scale and at equal compute.
//
//   Result<PriceList> list = price(fit, runs, "repeat", arms);
//   for (const PriceRow& row : list->rows)
//     print(row.arm, row.multiplier.value, row.multiplier.low, row.multiplier.high, row.flags);
//
// A remedy's runs are paired by seed with those of the baseline, which repeats the same unique
// tokens. Delta, the mean difference of the pairs, is added to what the fitted law says of the
// baseline (the law's error at that point falls out), and the sum is inverted into equivalent
// unique tokens (effective.h). docs/remedies.md explains every number.
//
// Charged: a run that cost c times the baseline (overhead included) is compared with a repetition
// that costs as much: L(N, c D, U_eq) = L_fit(N, D, U_0) + Delta is solved. c counts the run alone,
// and once more with the runs that it needed (donors).
//
// Intervals: draw b takes refit b of the law and a bootstrap of the pairs. Arms of one setting
// share the draws, so that what they have in common falls out of their differences. Bootstraps of
// few pairs are stretched to Student's t. Same input, same bytes, for any number of threads.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "fit/fit.h"
#include "plan/plan.h"
#include "plan/remedies/effective.h"

namespace ration::plan {

// One finished run of the baseline or of a remedy.
struct RemedyRun {
  std::string arm;
  std::string size;  // a name: runs are compared within it
  std::int64_t seed = 0;
  Params params;                     // active ones, where a token does not meet all
  Tokens tokens;                     // seen, of any kind
  Tokens unique;                     // of the target domain, before any filter: U_0
  Loss loss;                         // on held-out text of the target domain, nats a token
  std::optional<double> task;        // score of a task, 0 to 1, higher is better
  Flops flops;                       // of this run, its overhead included
  Flops donors{0};                   // of further runs that it needed
  std::optional<Tokens> added = {};  // of another domain among those seen; nothing: as its arm says
  // Of filters: share of the unique tokens that it kept, above 0; nothing: as its arm says. Above 1
  // it had more of the target's text than the baseline.
  std::optional<double> kept = {};
};

enum class RemedyKind { mixing, filter, policy, model, merge, fusion, start, combined };
std::string_view name_of(RemedyKind kind);
std::optional<RemedyKind> remedy_kind(std::string_view name);

// What is to be known of an arm besides its runs.
struct Arm {
  std::string name;
  RemedyKind kind = RemedyKind::model;
  // Of mixing: tokens of another domain among those seen, a run; above 0.
  std::optional<Tokens> added = {};
  // Of mixing: arms of one family differ in `added` alone and share a curve; empty = its own.
  std::string family = {};
  // Of filters and deduplication: the share of the unique tokens that was kept, above 0, at most 1.
  std::optional<double> kept = {};
  // Of combined arms: the arms that it joins, two or more.
  std::vector<std::string> parts = {};
};

struct PriceOptions {
  // Draws behind intervals, 100 to 10000. 400 place the ends within about a tenth of the width; the
  // refits of the law are taken in turn where they are fewer.
  int draws = 400;

  // Probability inside the intervals, and 1 - it the rate of false claims over all arms.
  double level = 0.95;

  // Seed of the bootstrap.
  std::uint64_t seed = 0;

  // Worker threads, 0 = as many as there are cores. Changes no number.
  int threads = 0;

  // Deviation of ln U_eq that `seeds_needed` aims at, above 0: 0.1 tells m = 1.25 from 1.
  double wanted = 0.1;

  // The largest share of added tokens that is at hand, for the recommended share, above 0 and below
  // 1; nothing = the largest that was measured.
  std::optional<double> largest_share = {};
};

std::vector<Error> check(const PriceOptions& options);

// What a reader must know before using a number. A number is never shown without them.
enum class Flag {
  no_effect,       // the interval of the gain includes 0
  not_resolvable,  // below 4 epochs, and sd ln U_eq above 0.25
  few_seeds,       // fewer than 5 pairs
  saturated,       // better than any number of unique tokens at this compute: m is a bound
  law_untrusted,   // the fit has a fatal doubt
  law_fixed,       // the fit has no refits: the interval holds the seeds' noise alone
  outside_fit,     // the baseline lies outside what the law's runs cover
  not_claimed,     // differs alone, but not once all arms are counted (Holm)
  more_text,       // it saw more unique tokens of the target than the baseline: m is not its own
};
std::string_view name_of(Flag flag);  // "no effect seen", …
std::optional<Flag> flag_of(std::string_view name);

// From where to where a remedy pays, in epochs of U_0 at this size: open ends are nothing. The
// stretch that holds the measured epochs, or the nearest one.
struct Pays {
  bool anywhere = false;
  std::optional<double> from, until;
  bool by_law = false;  // by the law under the measured quality; else between the epochs measured
  double measured_low = 0, measured_high = 0;  // epochs of the baselines that it was measured at
};

// One arm at one baseline setting.
struct PriceRow {
  std::string arm;
  RemedyKind kind = RemedyKind::model;
  std::string family;  // of mixing
  std::string size;
  Setting baseline;  // of the baseline's runs: N, D, U_0
  int pairs = 0;     // seeds that both have

  Amount delta;        // L_z - L_b, mean of the pairs; interval by the stretched bootstrap
  Amount delta_t;      // the same with Student's t, a check
  double p = 1;        // two-sided, of no gain; Student's t and the law's error
  double p_holm = 1;   // over all rows
  double compute = 1;  // c: FLOPs of the arm's runs over the baseline's
  Flops charged;       // of one run with its overhead
  Flops donors;        // of further runs, on top

  double loss = 0;      // L*: the law's loss of the baseline plus delta
  Amount gain;          // L(N, c D, U_0) - L*: nats better than repetition of the same compute
  Effective effective;  // at the best fit and the mean difference
  Amount multiplier;    // m; the median of the draws; no upper end where it is open
  Amount unique;        // U_eq, likewise
  Amount fresh;         // D_eq
  Amount epochs;        // e_eq; no upper end: repetition cannot reach it
  std::optional<double> compute_multiplier;  // c_eq; nothing: unreachable by repetition
  // Of ln U_eq: half the interval over its normal quantile, and by first-order propagation
  // sqrt(sd_Delta^2 + d' S d)/|g|, a check. Infinite where the interval is open.
  double log_error = 0, first_order_error = 0;
  std::optional<std::int64_t> seeds_needed;  // for options.wanted

  // With the donors charged as well; nothing where there are none.
  std::optional<double> compute_with_donors;
  std::optional<Amount> multiplier_with_donors;

  std::optional<double> kept;     // k
  std::optional<Amount> quality;  // q = m / k: what a kept token is worth
  std::optional<double> share;    // c of mixing: added tokens over all
  std::optional<Amount> worth;    // eta: fresh target tokens that an added token is worth

  std::optional<Amount> task;         // difference of the score
  std::optional<Amount> task_unique;  // U_eq by the score; where baselines of several U have scores
  std::optional<Pays> pays;
  std::vector<Flag> flags;  // in the order of the enum

  // ln m of every draw, infinite where saturated: what combinations are made of.
  std::vector<double> draws;
  std::vector<double> draws_with_donors;  // the same with the donors charged; empty without any

  bool has(Flag flag) const;
  // Better than repetition, after all arms are counted, and resolved.
  bool claimed() const;
  // Also once its donors are charged, by the whole interval; as claimed() without any.
  bool claimed_with_donors() const;
  // Enough seeds, resolved, and within what unique tokens can do: to be compared with other rows.
  bool comparable() const;
};

// eta(c) = eta_0 exp(-c/c_0) of the mixing arms of one family at one baseline setting.
struct MixingCurve {
  std::string family, size;
  Setting baseline;
  std::vector<double> shares, worths;
  // Nothing below four shares.
  std::optional<Amount> at_zero;     // eta_0
  std::optional<Amount> scale;       // c_0
  std::optional<Amount> best_share;  // with the largest predicted U_eq, 0 = do not mix
  std::optional<double> best_multiplier;
};

// I = ln m_xy - sum of ln m of the parts; multiply multipliers only where it includes 0.
struct Interaction {
  std::string arm, size;
  Setting baseline;
  std::vector<std::string> parts;
  Amount value;
  bool multiplies = false;
};

// Whether an arm is worth the same at all its sizes: m = m_ref (N / N_ref)^slope.
struct Sizes {
  std::string arm;
  std::vector<std::string> sizes;  // ascending N
  std::vector<double> params, multipliers;
  Amount slope;        // of ln m in ln N
  bool agree = false;  // the differences' intervals all include 0
};

// q k = m against D, of filters with at least three lengths of training.
struct Crossing {
  std::string arm, size;
  std::vector<double> tokens, multipliers;  // ascending D
  std::optional<Amount> crossing;           // D*, where m falls below 1
};

struct PriceList {
  std::string law;
  std::string fit;       // fit_digest() of the fit that priced it
  std::string baseline;  // arm
  double level = 0.95;
  std::string params_convention;
  std::vector<PriceRow> rows;  // by size, then in the order of `arms`, then by setting
  std::vector<MixingCurve> curves;
  std::vector<Interaction> interactions;
  std::vector<Sizes> sizes;
  std::vector<Crossing> crossings;
  std::vector<std::string> notes;  // runs that found no partner, and the like
};

// `runs` of the baseline and of all arms, in any order. Arms without any pair are named in the
// notes. An untrusted law is used and flagged.
// Errors: check(options); a law that does not describe repetition (ErrorKind::usage); runs that are
// unusable or given twice, arms that are unknown, given twice or incomplete, no pair at all
// (ErrorKind::input, all named).
Result<PriceList> price(const fit::Fit& fit,
                        std::span<const RemedyRun> runs,
                        const std::string& baseline,
                        std::span<const Arm> arms,
                        const PriceOptions& options = {});

// SHA-256 of the fit's estimates and refits: the same numbers, the same digest.
std::string fit_digest(const fit::Fit& fit);

// What every list takes for granted, one sentence each.
std::vector<std::string> assumptions(const PriceList& list);

// The document ration.remedies/1 (docs/formats.md). Reading it back loses nothing.
Json to_json(const PriceList& list);
// Errors: another schema, missing members, wrong types (ErrorKind::input; names `file`).
Result<PriceList> price_list_from_json(const Json& document, const std::string& file);

}  // namespace ration::plan
