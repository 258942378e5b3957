#include "report/report.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "report/figures.h"

namespace ration::report {
namespace {

std::string with_interval(double value, std::optional<double> low, std::optional<double> high) {
  const auto end = [](std::optional<double> x, std::string_view open) {
    return x ? fmt::format("{:.4g}", *x) : std::string(open);
  };
  if (!low && !high) return fmt::format("{:.6g}", value);
  return fmt::format("{:.6g}  ({} to {})", value, end(low, "0"), end(high, "open"));
}

std::string amount(const plan::Amount& a, std::string_view unit) {
  const std::string text = format_quantity(a.value, unit, 4);
  if (!a.low || !a.high) return text;
  return fmt::format(
      "{}  ({} to {})", text, format_quantity(*a.low, unit), format_quantity(*a.high, unit));
}

std::vector<std::string> allocation_row(const std::string& name, const plan::Allocation& a) {
  return {name,
          amount(a.params, "params"),
          amount(a.tokens, "tok"),
          amount(a.epochs, ""),
          with_interval(a.loss.value, a.loss.low, a.loss.high)};
}

Section plan_section(const fit::Fit& fit, const plan::Plan& plan) {
  Section section{.title = "Recommendation"};
  section.paragraphs.push_back(
      fmt::format("With {} of compute and {} unique tokens; {:.0f} % intervals in brackets.",
                  format_quantity(plan.flops, "flop"),
                  format_quantity(plan.request.unique.value, ""),
                  100 * fit.interval));
  section.tables.push_back(
      {.header = {"plan", "parameters", "tokens", "epochs", "predicted loss (nats a token)"},
       .rows = {allocation_row("recommended", plan.best),
                allocation_row("ignoring repetition", plan.baseline)}});
  section.paragraphs.push_back(fmt::format(
      "The valley is flat: from {} to {} the predicted loss stays within {:.2g} % of the least.",
      format_quantity(plan.valley.params.low, "params"),
      format_quantity(plan.valley.params.high, "params"),
      100 * plan.valley.tolerance));
  for (const std::string& warning : plan.warnings)
    section.paragraphs.push_back("Warning: " + warning);
  section.figures.push_back(budget_figure(fit, plan));
  return section;
}

Section law_section(const fit::Fit& fit, std::span<const fit::Observation> runs) {
  Section section{.title = fmt::format("The law: {}", fit.law->name())};
  section.paragraphs.push_back(fmt::format("{} ({})", fit.law->formula(), fit.law->source()));
  section.paragraphs.push_back(fmt::format(
      "{} runs in {} cells from {}; {}; rms of the residuals {:.2g} %; N counted {}.",
      fit.runs,
      fit.cells,
      fit.source.empty() ? "a table" : fit.source,
      std::isinf(fit.delta) ? "least squares" : fmt::format("log-Huber knee {:g}", fit.delta),
      100 * fit.residual_rms,
      fit.params_convention));
  Table table{.header = {"parameter",
                         fmt::format("value  ({:.0f} % interval)", 100 * fit.interval),
                         "remark"}};
  for (const fit::Estimate& e : fit.parameters)
    table.rows.push_back({e.name,
                          with_interval(e.value, e.low, e.high),
                          e.fixed        ? "held fixed"
                          : e.at_bound   ? "at a bound"
                          : e.identified ? ""
                                         : "not identified"});
  section.tables.push_back(std::move(table));
  for (const fit::Doubt& doubt : fit.doubts)
    section.paragraphs.push_back(fmt::format("Doubt ({}): {}", doubt.subject, doubt.what));
  if (runs.empty()) return section;
  section.figures.push_back(runs_figure(fit, runs));
  section.figures.push_back(residuals_figure(fit, runs));
  return section;
}

}  // namespace

Page make_page(const fit::Fit& fit,
               std::span<const fit::Observation> runs,
               const plan::Plan* plan) {
  Page page{.title = "What to train with too little data"};
  if (plan != nullptr) page.sections.push_back(plan_section(fit, *plan));
  page.sections.push_back(law_section(fit, runs));
  return page;
}

Page plan_page(const fit::Fit& fit, const plan::Plan& plan, const plan::Repetition& repetition) {
  Page page{.title = "What to train with too little data"};
  page.sections.push_back(plan_section(fit, plan));
  page.sections.back().figures.push_back(epochs_figure(fit, repetition));
  return page;
}

Page frontier_page(const fit::Fit& fit, std::span<const plan::FrontierPoint> points) {
  Section section{.title = "What each budget buys"};
  Table table{
      .header = {"compute", "parameters", "tokens", "epochs", "predicted loss (nats a token)"}};
  for (const plan::FrontierPoint& point : points)
    table.rows.push_back(allocation_row(format_quantity(point.budget.value, "flop"), point.best));
  section.figures.push_back(frontier_figure(fit, points));
  section.tables.push_back(std::move(table));
  return {.title = "What to train with too little data", .sections = {std::move(section)}};
}

std::string losses_csv(const fit::Fit& fit, std::span<const fit::Observation> runs) {
  fit::Points points;
  for (const fit::Observation& run : runs) points.add(run.params, run.tokens, run.unique);
  const std::vector<fit::Prediction> predicted = fit::predict(fit, points);
  std::string text = "params,tokens,unique_tokens,epochs,loss,predicted_loss,low,high\n";
  const auto cell = [](std::optional<double> x) {
    return x ? fmt::format("{}", *x) : std::string();
  };
  for (std::size_t i = 0; i < runs.size(); ++i)
    text += fmt::format("{},{},{},{},{},{},{},{}\n",
                        runs[i].params.value,
                        runs[i].tokens.value,
                        runs[i].unique.value,
                        runs[i].tokens / runs[i].unique,
                        runs[i].loss.value,
                        predicted[i].value,
                        cell(predicted[i].low),
                        cell(predicted[i].high));
  return text;
}

Result<void> write_report(Files& files,
                          const Path& folder,
                          const Page& page,
                          std::string_view csv,
                          std::string_view vega_script) {
  if (Result<void> made = files.make_folders(folder); !made) return made;
  if (Result<void> done = files.write_whole(folder / "losses.csv", csv); !done) return done;
  for (const Section& section : page.sections)
    for (const Figure& figure : section.figures)
      if (Result<void> done =
              files.write_whole(folder / (figure.name + ".vl.json"), figure.spec.dump(1) + "\n");
          !done)
        return done;
  return files.write_whole(folder / "report.html", to_html(page, vega_script));
}

}  // namespace ration::report
