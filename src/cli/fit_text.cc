#include "cli/fit_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace ration::cli {
namespace {

std::string interval_text(const fit::Estimate& e) {
  if (e.fixed) return "held";
  if (!e.low && !e.high) return e.identified ? "-" : "open on both sides";
  if (!e.high) return fmt::format("{:.6g} or more", *e.low);
  if (!e.low) return fmt::format("{:.6g} or less", *e.high);
  return fmt::format("{:.6g} to {:.6g}", *e.low, *e.high);
}

std::string profile_text(const fit::Estimate& e) {
  if (e.fixed) return {};
  if (!e.profile_low && !e.profile_high) return "open on both sides";
  if (!e.profile_high) return fmt::format("{:.6g} or more", *e.profile_low);
  if (!e.profile_low) return fmt::format("{:.6g} or less", *e.profile_high);
  return fmt::format("{:.6g} to {:.6g}", *e.profile_low, *e.profile_high);
}

// All minima within the noise, by the parameters in which they differ.
std::string minima_text(const fit::Fit& fit) {
  if (fit.minima.size() < 2) return {};
  std::vector<std::size_t> differ;
  for (std::size_t j = 0; j < fit.parameters.size(); ++j)
    if (!fit.parameters[j].fixed) differ.push_back(j);
  std::string text = fmt::format("\nminima within the noise\n  {:>14}", "objective");
  for (const std::size_t j : differ) text += fmt::format(" {:>10}", fit.parameters[j].name);
  text += '\n';
  for (const fit::NearMinimum& minimum : fit.minima) {
    text += fmt::format("  {:>14.10g}", minimum.objective);
    for (const std::size_t j : differ) text += fmt::format(" {:>10.5g}", minimum.values[j]);
    text += '\n';
  }
  return text;
}

std::string without_trailing_spaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n')
      while (result.ends_with(' ')) result.pop_back();
    result += c;
  }
  return result;
}

std::string objective_text(const fit::Fit& fit) {
  std::string text = std::isinf(fit.delta)
                         ? "sum of half squares of residuals of ln L"
                         : fmt::format("sum of Huber losses of ln L, delta {:g}", fit.delta);
  if (fit.asymmetry != 1) text += fmt::format("; too high counts {:g} times", fit.asymmetry);
  return text;
}

const fit::Estimate* find(const fit::Fit& fit, std::string_view name) {
  for (const fit::Estimate& e : fit.parameters)
    if (e.name == name) return &e;
  return nullptr;
}

}  // namespace

std::string doubts_text(std::span<const fit::Doubt> doubts) {
  if (doubts.empty()) return {};
  std::string text = "\ndoubts\n";
  for (const fit::Doubt& doubt : doubts)
    text += fmt::format("  {}{}: {}\n", doubt.fatal ? "! " : "", doubt.subject, doubt.what);
  return text;
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string convention_text(const fit::Fit& fit) {
  if (fit.params_convention == "6nd_head") return "  N counts layers and output head (6nd_head)\n";
  if (fit.params_convention == "6nd") return "  N counts all parameters (6nd)\n";
  if (fit.params_convention == "kaplan") return "  N counts layers without embeddings (kaplan)\n";
  return {};
}

std::string fit_text(const fit::Fit& fit) {
  std::string text = fmt::format("{}\n  {}\n  {} runs of {} settings from {}\n{}\n",
                                 fit.law->name(),
                                 fit.law->formula(),
                                 fit.runs,
                                 fit.cells,
                                 fit.source,
                                 convention_text(fit));
  text += fmt::format("  {:<9} {:>12}  {:<24} {}\n",
                      "parameter",
                      "value",
                      fit.draws.empty() ? "" : percent(fit.interval) + " interval",
                      fit.profiles.empty() ? "" : "by profile");
  for (std::size_t j = 0; j < fit.parameters.size(); ++j) {
    const fit::Estimate& e = fit.parameters[j];
    text += fmt::format("  {:<9} {:>12.7g}  {:<24} {}\n",
                        e.name,
                        e.value,
                        interval_text(e),
                        fit.profiles.empty() ? "" : profile_text(e));
  }
  text += fmt::format(
      "\n  residual rms  {:.3g} % of the loss\n"
      "  objective     {:.10g} ({})\n"
      "  search        {} of {} starts agree{}\n"
      "  stopped       {}\n",
      100 * fit.residual_rms,
      fit.objective,
      objective_text(fit),
      fit.search.agree,
      fit.search.starts,
      fit.minima.size() > 1 ? fmt::format("; {} minima within the noise", fit.minima.size()) : "",
      fit.search.stopped);
  return without_trailing_spaces(text) + minima_text(fit) + doubts_text(fit.doubts);
}

namespace {

// Over all runs, each predicted with the fifth by compute left out that it belongs to; nothing
// where no compute was measured at three sizes.
std::string regret_text(const fit::Candidate& candidate) {
  for (const fit::Extrapolation& e : candidate.extrapolations)
    if (e.axis == "level" && e.choices > 0) return fmt::format("  {:>7.4f}", e.regret);
  return fmt::format("  {:>7}", "-");
}

}  // namespace

std::string choice_text(const fit::Fit& fit) {
  std::string text =
      "\nlaws weighed: the first is nearest to the median of all where the runs end\n"
      "  law                        free  distance      BIC  error of extrapolation in\n"
      "                                     (ln L)";
  text += fmt::format("  {:>7}", "");
  for (const fit::Extrapolation& e : fit.candidates.front().extrapolations)
    text += fmt::format("  {:>7}", e.axis);
  text += "   regret\n";
  double least_bic = HUGE_VAL;
  for (const fit::Candidate& c : fit.candidates) least_bic = std::min(least_bic, c.bic);
  for (const fit::Candidate& c : fit.candidates) {
    text += fmt::format("  {:<26} {:>4}  {:>8.4f}  {:>+7.0f}",
                        c.law->name(),
                        c.law->size(),
                        c.distance,
                        c.bic - least_bic);
    for (const fit::Extrapolation& e : c.extrapolations)
      text += fmt::format("  {:>7.4f}", e.mean_error);
    text += regret_text(c) + '\n';
  }
  return without_trailing_spaces(text);
}

std::string comparison_text(const std::vector<fit::Fit>& fits) {
  std::string text = fmt::format("\nlaws side by side\n  {:<26} {:>4} {:>12} {:>8}  {}\n",
                                 "law",
                                 "free",
                                 "objective",
                                 "rms",
                                 "R_D*");
  for (const fit::Fit& fit : fits) {
    const fit::Estimate* rd_star = find(fit, "rd_star");
    const std::string decay =
        rd_star == nullptr ? "-"
                           : fmt::format("{:.4g} ({})", rd_star->value, interval_text(*rd_star));
    const auto free = std::count_if(fit.parameters.begin(),
                                    fit.parameters.end(),
                                    [](const fit::Estimate& e) { return !e.fixed; });
    text += fmt::format("  {:<26} {:>4} {:>12.7g} {:>6.3g} %  {}\n",
                        fit.law->name(),
                        free,
                        fit.objective,
                        100 * fit.residual_rms,
                        decay);
  }
  return text;
}

}  // namespace ration::cli
