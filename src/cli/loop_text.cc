#include "cli/loop_text.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/store_option.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

std::string number(const std::string& quantity, double value) {
  if (quantity == "loss") return fmt::format("{:.4f}", value);
  if (quantity == "params" || quantity == "tokens") return format_quantity(value);
  return fmt::format("{:.3g}", value);
}

std::string width_text(const loop::Measured& measured, double width) {
  return measured.relative ? fmt::format("{:.3g} %", 100 * width)
                           : number(measured.quantity, width);
}

std::string doubt_text(const loop::Decision& decision) {
  if (decision.law.empty()) return "no fit: " + decision.doubt;
  return fmt::format("{}{}",
                     goal_text(decision.goal),
                     decision.trusted ? "" : "; the fit is not to be trusted: " + decision.doubt);
}

}  // namespace

std::string measured_text(const loop::Measured& m) {
  if (!m.value) return m.quantity + " not known";
  const auto end = [&](const std::optional<double>& value) {
    return value ? number(m.quantity, *value) : std::string("open");
  };
  return fmt::format("{} {} ({} to {}), {} wide",
                     m.quantity,
                     number(m.quantity, *m.value),
                     end(m.low),
                     end(m.high),
                     m.width ? width_text(m, *m.width) : "infinitely");
}

std::string goal_text(const std::vector<loop::Measured>& goal) {
  std::string text;
  for (const loop::Measured& measured : goal)
    text += (text.empty() ? "" : "; ") + measured_text(measured);
  return text;
}

std::string decision_line(const loop::Decision& decision) {
  double flops = 0;
  for (const loop::Pick& pick : decision.runs) flops += pick.flops;
  const std::string what = decision.verdict == loop::Verdict::start
                               ? fmt::format("starts {} for {}",
                                             counted(decision.runs.size(), "run"),
                                             format_quantity(flops, "flop"))
                               : fmt::format("ends, {}", name(decision.verdict));
  return fmt::format(
      "round {}: {} runs finished{}, {} spent; {}; {}: {}\n",
      decision.round,
      decision.done,
      decision.diverged > 0 ? fmt::format(" and {} diverged", decision.diverged) : std::string(),
      format_quantity(decision.spent_flops, "flop"),
      doubt_text(decision),
      what,
      decision.why);
}

std::string picks_table(const loop::Decision& decision) {
  if (decision.runs.empty()) return {};
  std::vector<std::vector<std::string>> cells = {
      {"run", "params", "tokens", "epochs", "flop", "gain"}};
  for (const loop::Pick& pick : decision.runs)
    cells.push_back({short_id(pick.run),
                     format_quantity(pick.params),
                     format_quantity(pick.tokens, "tok"),
                     fmt::format("{:.3g}", pick.tokens / pick.unique_tokens),
                     format_quantity(pick.flops, "flop"),
                     fmt::format("{:.3g}", pick.gain)});
  return table(cells);
}

}  // namespace ration::cli
