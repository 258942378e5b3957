#pragma once

// What a study found, for people and for other programs: one HTML page, its figures, and the table
// of runs.
//
//   Page page = make_page(fit, runs, &plan);
//   write_report(real_files(), "report", page, losses_csv(fit, runs), vega_script);

#include <span>
#include <string>

#include "base/files.h"
#include "fit/fit.h"
#include "plan/frontier.h"
#include "plan/plan.h"
#include "plan/repetition.h"
#include "report/page.h"

namespace ration::report {

// `plan` may be null: the page then holds the fit alone. `runs` are those of the fit, in any order.
Page make_page(const fit::Fit& fit, std::span<const fit::Observation> runs, const plan::Plan* plan);

// A plan alone, or plans over a range of budgets.
Page plan_page(const fit::Fit& fit, const plan::Plan& plan, const plan::Repetition& repetition);
Page frontier_page(const fit::Fit& fit, std::span<const plan::FrontierPoint> points);

// params,tokens,unique_tokens,epochs,loss,predicted_loss,low,high: one line a run, losses in nats a
// token.
std::string losses_csv(const fit::Fit& fit, std::span<const fit::Observation> runs);

// Writes <folder>/report.html, losses.csv and a <figure>.vl.json for each figure. `vega_script` as
// in to_html().
Result<void> write_report(Files& files,
                          const Path& folder,
                          const Page& page,
                          std::string_view csv,
                          std::string_view vega_script);

}  // namespace ration::report
