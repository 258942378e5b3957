#include "plan/remedies/price.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "base/hash.h"
#include "plan/remedies/comparisons.h"
#include "plan/remedies/pays.h"
#include "plan/remedies/statistics.h"

namespace ration::plan {
namespace {

constexpr std::array<std::string_view, 8> kKinds = {
    "mixing", "filter", "policy", "model", "merge", "fusion", "start", "combined"};
constexpr std::array<std::string_view, 9> kFlags = {"no effect seen",
                                                    "not resolvable",
                                                    "few seeds",
                                                    "saturated",
                                                    "law untrusted",
                                                    "law without refits",
                                                    "outside the fit",
                                                    "not claimed",
                                                    "saw more text than the baseline"};

template <class Enum, std::size_t n>
std::optional<Enum> value_named(const std::array<std::string_view, n>& names,
                                std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

// Holm over all rows, and the flag of those that differ alone.
void adjust(std::vector<Priced>& rows, double level) {
  std::vector<double> p;
  for (const Priced& priced : rows) p.push_back(priced.row.p);
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PriceRow& row = rows[i].row;
    row.p_holm = adjusted[i];
    if (!row.has(Flag::no_effect) && row.p_holm >= 1 - level)
      row.flags.push_back(Flag::not_claimed);
  }
}

// By the law where it knows; else between the lengths that an arm was measured at.
void find_where_it_pays(const fit::Fit& fit, std::vector<Priced>& rows) {
  std::map<std::tuple<std::string, std::string, double>, std::vector<const PriceRow*>> lengths;
  for (const Priced& priced : rows)
    if (priced.row.comparable())
      lengths[{priced.row.arm, priced.row.size, priced.row.baseline.unique.value}].push_back(
          &priced.row);
  for (auto& [key, group] : lengths)
    std::sort(group.begin(), group.end(), [](const PriceRow* a, const PriceRow* b) {
      return a->baseline.tokens < b->baseline.tokens;
    });
  for (Priced& priced : rows) {
    PriceRow& row = priced.row;
    row.pays = pays_by_law(fit, priced);
    if (row.pays) continue;
    const PriceRow* const own[] = {&row};
    row.pays = row.comparable()
                   ? pays_as_measured(lengths[{row.arm, row.size, row.baseline.unique.value}])
                   : pays_as_measured(own);
  }
}

Result<void> check(const fit::Law& law, const PriceOptions& options) {
  std::vector<Error> problems = check(options);
  if (!law.describes_repetition())
    problems.push_back(
        {.kind = ErrorKind::usage,
         .what = fmt::format("the law {} does not describe repeated tokens", law.name()),
         .hint = "fit a law that does, such as data-constrained"});
  if (problems.empty()) return {};
  return combine(std::move(problems), "the remedies cannot be priced");
}

}  // namespace

std::string_view name_of(RemedyKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::optional<RemedyKind> remedy_kind(std::string_view name) {
  return value_named<RemedyKind>(kKinds, name);
}

std::string_view name_of(Flag flag) { return kFlags[static_cast<std::size_t>(flag)]; }
std::optional<Flag> flag_of(std::string_view name) { return value_named<Flag>(kFlags, name); }

bool PriceRow::has(Flag flag) const {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

bool PriceRow::claimed() const {
  const auto spoils = [](Flag flag) {
    return flag == Flag::no_effect || flag == Flag::not_resolvable || flag == Flag::few_seeds ||
           flag == Flag::law_untrusted || flag == Flag::not_claimed || flag == Flag::more_text;
  };
  return gain.value > 0 && std::none_of(flags.begin(), flags.end(), spoils);
}

bool PriceRow::claimed_with_donors() const {
  if (!claimed() || !multiplier_with_donors) return claimed();
  return multiplier_with_donors->low.value_or(0) > 1;
}

bool PriceRow::comparable() const {
  return !has(Flag::few_seeds) && !has(Flag::not_resolvable) && !has(Flag::saturated);
}

std::vector<Error> check(const PriceOptions& options) {
  std::vector<Error> problems;
  const auto refuse = [&](std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  if (options.draws < 100 || options.draws > 10000)
    refuse(fmt::format("{} draws", options.draws), "100 to 10000");
  if (!(options.level > 0 && options.level < 1))
    refuse(fmt::format("an interval of {:g}", options.level), "above 0 and below 1, such as 0.95");
  if (options.threads < 0 || options.threads > 1024)
    refuse(fmt::format("{} threads", options.threads), "0 to 1024");
  if (!(options.wanted > 0) || !std::isfinite(options.wanted))
    refuse(fmt::format("a wanted deviation of {:g}", options.wanted), "above 0, such as 0.1");
  if (options.largest_share && !(*options.largest_share > 0 && *options.largest_share < 1))
    refuse(fmt::format("a largest share of {:g}", *options.largest_share), "above 0 and below 1");
  return problems;
}

Result<PriceList> price(const fit::Fit& fit,
                        std::span<const RemedyRun> runs,
                        const std::string& baseline,
                        std::span<const Arm> arms,
                        const PriceOptions& options) {
  if (Result<void> usable = check(*fit.law, options); !usable) return std::move(usable).error();
  Result<Matched> matched = match(runs, baseline, arms);
  if (!matched) return std::move(matched).error();

  std::vector<Priced> rows;
  for (const Pairs& pairs : matched->pairs) {
    rows.push_back(price_row(fit, pairs, options));
    rows.back().row.task_unique =
        task_unique(scores_of(runs, baseline, pairs.size, pairs.baseline.tokens), pairs, options);
  }
  adjust(rows, options.level);
  find_where_it_pays(fit, rows);

  PriceList list{.law = std::string(fit.law->name()),
                 .fit = fit_digest(fit),
                 .baseline = baseline,
                 .level = options.level,
                 .params_convention = fit.params_convention,
                 .curves = mixing_curves(fit, rows, options),
                 .interactions = interactions(rows, options),
                 .sizes = compare_sizes(rows, options),
                 .crossings = crossings(rows, options),
                 .notes = std::move(matched->notes)};
  for (Priced& priced : rows) list.rows.push_back(std::move(priced.row));
  return list;
}

std::string fit_digest(const fit::Fit& fit) {
  std::string text;
  for (const double value : fit.coordinates()) text += fmt::format("{:.12g} ", value);
  for (const fit::Coordinates& draw : fit.draws)
    for (const double value : draw) text += fmt::format("{:.12g} ", value);
  return sha256_hex(text);
}

std::vector<std::string> assumptions(const PriceList& list) {
  std::vector<std::string> all = {fmt::format("remedied data follow the same law ({})", list.law),
                                  "a difference that was measured carries over from the measured "
                                  "size and length to the planned "
                                  "ones"};
  std::vector<std::string> apart;
  for (const Sizes& sizes : list.sizes)
    if (!sizes.agree) apart.push_back(sizes.arm);
  if (list.sizes.empty())
    all.back() += ": not checked, no arm has two sizes that can be compared";
  else if (apart.empty())
    all.back() += fmt::format(": multipliers agree over the sizes of {} arms", list.sizes.size());
  else
    all.back() +=
        fmt::format(": not so for {}, whose multipliers differ with size", fmt::join(apart, ", "));
  all.push_back("the held-out text stands for the use");
  all.push_back("no held-out text leaked into any source");
  return all;
}

}  // namespace ration::plan
