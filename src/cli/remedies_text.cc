#include "cli/remedies_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

std::string percent(double share) { return fmt::format("{:.3g} %", 100 * share); }

template <class Number>
std::string interval_text(const plan::Amount& amount, const Number& number) {
  if (!std::isfinite(amount.value)) return "-";
  if (amount.low && amount.high)
    return fmt::format(
        "{} ({} to {})", number(amount.value), number(*amount.low), number(*amount.high));
  if (amount.low) return fmt::format("{} ({} or more)", number(amount.value), number(*amount.low));
  if (amount.high)
    return fmt::format("{} ({} or less)", number(amount.value), number(*amount.high));
  return number(amount.value);
}

std::string three(double value) { return fmt::format("{:.3g}", value); }
std::string two_places(double value) { return fmt::format("{:.2f}", value); }
std::string nats(double value) { return fmt::format("{:+.4f}", value); }
std::string score(double value) { return fmt::format("{:+.3f}", value); }
std::string four_places(double value) { return fmt::format("{:.4f}", value); }
std::string size_text(double value) { return format_quantity(value); }
std::string tokens_text(double value) { return format_quantity(value, "tok"); }

std::string multiplier_text(const plan::PriceRow& row) {
  if (row.effective.saturated)
    return fmt::format("{} or more", two_places(row.multiplier.low.value_or(row.multiplier.value)));
  return interval_text(row.multiplier, two_places);
}

// Where nothing is seen, only where it was looked for.
std::string pays_text(const plan::Pays& pays, bool seen) {
  const std::string by = pays.by_law ? "by the law " : "between measured lengths ";
  const std::string measured =
      pays.measured_low == pays.measured_high
          ? fmt::format("measured at {:.3g} epochs", pays.measured_low)
          : fmt::format(
                "measured at {:.3g} to {:.3g} epochs", pays.measured_low, pays.measured_high);
  if (!seen || (!pays.by_law && !pays.from && !pays.until)) return measured;
  if (!pays.anywhere) return by + "it pays nowhere; " + measured;
  if (pays.from && pays.until)
    return fmt::format(
        "{}it pays from {:.3g} to {:.3g} epochs; {}", by, *pays.from, *pays.until, measured);
  if (pays.from)
    return fmt::format("{}it pays from {:.3g} epochs on; {}", by, *pays.from, measured);
  if (pays.until)
    return fmt::format("{}it pays up to {:.3g} epochs; {}", by, *pays.until, measured);
  return by + "it pays at any length; " + measured;
}

// Indented, as many as fit on a line.
std::string below(const std::vector<std::string>& parts) {
  constexpr std::size_t kWidth = 80;
  std::string text, line = "   ";
  for (const std::string& part : parts) {
    if (line.size() > 3 && line.size() + 2 + part.size() > kWidth) {
      text += line + ";\n";
      line = "   ";
    }
    line += (line.size() > 3 ? "; " : " ") + part;
  }
  return line.size() > 3 ? text + line + "\n" : text;
}

// What stands below a row.
std::vector<std::string> remarks(const plan::PriceRow& row) {
  std::vector<std::string> parts;
  for (const plan::Flag flag : row.flags) parts.emplace_back(plan::name_of(flag));
  if (row.gain.high.value_or(1) < 0) parts.emplace_back("costs text");
  if (row.pays) parts.push_back(pays_text(*row.pays, !row.has(plan::Flag::no_effect)));
  if (row.multiplier_with_donors)
    parts.push_back(fmt::format("with its donors ({:.3g} times the compute) {}",
                                row.compute_with_donors.value_or(1),
                                interval_text(*row.multiplier_with_donors, two_places)));
  if (row.quality)
    parts.push_back(fmt::format("keeps {}, a kept token is worth {}",
                                percent(row.kept.value_or(1)),
                                interval_text(*row.quality, two_places)));
  if (row.worth)
    parts.push_back(
        fmt::format("an added token is worth {}", interval_text(*row.worth, two_places)));
  if (row.task_unique)
    parts.push_back(
        fmt::format("by the task {} unique", interval_text(*row.task_unique, tokens_text)));
  if (!row.compute_multiplier)
    parts.emplace_back("unreachable by repetition");
  else if (row.claimed())
    parts.push_back(
        fmt::format("repetition needs {:.3g} times the compute", *row.compute_multiplier));
  const bool weak = row.has(plan::Flag::no_effect) || row.has(plan::Flag::not_resolvable);
  if (weak && row.seeds_needed && *row.seeds_needed > row.pairs)
    parts.push_back(fmt::format("{} seeds would resolve it", *row.seeds_needed));
  return parts;
}

std::string rows_text(const plan::PriceList& list) {
  bool tasks = false;
  for (const plan::PriceRow& row : list.rows) tasks = tasks || row.task;
  std::vector<std::vector<std::string>> cells = {
      {"remedy", "size", "unique tokens, times", "nats gained", "compute"}};
  if (tasks) cells[0].emplace_back("task");
  for (const plan::PriceRow& row : list.rows) {
    cells.push_back({row.arm,
                     row.size,
                     multiplier_text(row),
                     nats(row.gain.value),
                     fmt::format("{:.3g}", row.compute)});
    if (tasks) cells.back().push_back(row.task ? interval_text(*row.task, score) : "-");
  }
  const std::string lines = table(cells);
  std::string text;
  std::size_t from = 0;
  for (std::size_t line = 0; line < cells.size(); ++line) {
    const std::size_t end = lines.find('\n', from) + 1;
    text += lines.substr(from, end - from);
    if (line > 0) text += below(remarks(list.rows[line - 1]));
    from = end;
  }
  return text;
}

std::string curves_text(const plan::PriceList& list) {
  std::string text;
  for (const plan::MixingCurve& curve : list.curves) {
    const std::string name = curve.family.empty() ? "mixing" : curve.family;
    if (!curve.at_zero) {
      text += fmt::format("{} at {}: {}; four give a curve\n",
                          name,
                          curve.size,
                          counted(curve.shares.size(), "share"));
      continue;
    }
    text += fmt::format(
        "{} at {}: the first added tokens are worth {} fresh ones,\n"
        "    others less by exp(-share/{:.2g}); best share {}:\n"
        "    {:.2f} times the unique tokens\n",
        name,
        curve.size,
        interval_text(*curve.at_zero, two_places),
        curve.scale->value,
        interval_text(*curve.best_share, two_places),
        curve.best_multiplier.value_or(1));
  }
  return text;
}

std::string together_text(const plan::PriceList& list) {
  std::string text = curves_text(list);
  for (const plan::Interaction& i : list.interactions)
    text += fmt::format("{} at {}: {}: ln m beyond theirs {}\n",
                        i.arm,
                        i.size,
                        i.multiplies ? "its parts multiply" : "do not multiply its parts",
                        interval_text(i.value, [](double v) { return fmt::format("{:+.2f}", v); }));
  for (const plan::Sizes& sizes : list.sizes)
    text += sizes.agree ? fmt::format("{}: its multiplier agrees between {}\n",
                                      sizes.arm,
                                      fmt::join(sizes.sizes, ", "))
                        : fmt::format("{}: its multiplier changes between {}, as N^{}\n",
                                      sizes.arm,
                                      fmt::join(sizes.sizes, ", "),
                                      interval_text(sizes.slope, two_places));
  for (const plan::Crossing& crossing : list.crossings)
    text += crossing.crossing ? fmt::format("{} at {}: as measured it stops paying at {} seen\n",
                                            crossing.arm,
                                            crossing.size,
                                            interval_text(*crossing.crossing, tokens_text))
                              : fmt::format("{} at {}: no change of sign between {} and {} seen\n",
                                            crossing.arm,
                                            crossing.size,
                                            tokens_text(crossing.tokens.front()),
                                            tokens_text(crossing.tokens.back()));
  return text.empty() ? text : "\n" + text;
}

// Two blanks before the first line, four before others.
std::string wrapped(const std::string& sentence) {
  constexpr std::size_t kWidth = 80;
  std::string text, line = " ";
  for (std::size_t from = 0; from < sentence.size();) {
    const std::size_t end = std::min(sentence.find(' ', from), sentence.size());
    const std::string word = sentence.substr(from, end - from);
    if (line.size() + 1 + word.size() > kWidth) {
      text += line + "\n";
      line = "   ";
    }
    line += " " + word;
    from = end + 1;
  }
  return text + line + "\n";
}

std::string sentences(std::string_view title, const std::vector<std::string>& all) {
  if (all.empty()) return {};
  std::string text = fmt::format("\n{}\n", title);
  for (const std::string& sentence : all) text += wrapped(sentence);
  return text;
}

}  // namespace

std::string remedies_text(const plan::PriceList& list) {
  return fmt::format("remedies against {}, by the law {}, {} intervals\n\n",
                     list.baseline,
                     list.law,
                     percent(list.level)) +
         rows_text(list) + together_text(list) + sentences("notes", list.notes) +
         sentences("taken for granted", plan::assumptions(list));
}

std::string remedied_plan_text(const plan::RemediedPlan& plan,
                               const plan::PriceList& list,
                               const fit::Fit& fit) {
  const plan::Request& request = plan.without.request;
  std::string text = fmt::format(
      "{} and {} unique, by the law {} of {} runs\nand {} priced remedies\n\n",
      std::isfinite(request.budget.value) ? format_quantity(request.budget.value, "flop") : "time",
      tokens_text(request.unique.value),
      fit.law->name(),
      fit.runs,
      list.rows.size());
  if (plan.chosen.arms.empty())
    text += "no remedy: repeat the tokens\n";
  else
    text += fmt::format("with {}: {} times the unique tokens\n",
                        fmt::join(plan.chosen.arms, " and "),
                        interval_text(plan.chosen.multiplier, two_places));
  std::vector<std::vector<std::string>> rows = {
      {"", fmt::format("with ({} interval)", percent(list.level)), "without"}};
  const auto add = [&](const char* name, const plan::Amount& with, double without, auto number) {
    rows.push_back({name, interval_text(with, number), number(without)});
  };
  const plan::Optimum& bare = plan.without.optimum;
  add("parameters", plan.params, bare.params, size_text);
  add("tokens", plan.tokens, bare.tokens, tokens_text);
  add("epochs", plan.epochs, bare.epochs, three);
  add("loss", plan.loss, bare.loss, four_places);
  text += "\n" + table(rows);
  if (!plan.chosen.arms.empty())
    text += fmt::format(
        "\nexpected gain {} nats\n"
        "of the compute {} trains, {} is the remedies'\n",
        interval_text(plan.gain, four_places),
        format_quantity(plan.training.value, "flop"),
        format_quantity(plan.overhead.value, "flop"));
  if (plan.product)
    text += fmt::format("if {} multiplied: {} times, loss {}\n",
                        fmt::join(plan.product->arms, ", "),
                        interval_text(plan.product->multiplier, two_places),
                        interval_text(*plan.product_loss, four_places));
  return text + sentences("doubts", plan.doubts) +
         sentences("taken for granted", plan::assumptions(list));
}

}  // namespace ration::cli
