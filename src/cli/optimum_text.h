#pragma once

// What `fit isoflop` and `fit envelope` share: options, the words on their line, and how they end.

#include <span>

#include "cli/command.h"
#include "cli/fit_input.h"
#include "fit/optimum_line.h"
#include "report/page.h"

namespace ration::cli {

// --budget, --interval, --seed, --threads, --csv, --figure, --force, and those that say which runs.
std::vector<Option> optimum_options();

// What a procedure is asked for.
struct Asked {
  std::vector<Flops> budgets;
  FitInput input;
};
Result<Asked> read_asked(const Arguments& arguments);

// Adds to what a procedure found where its runs came from, and doubts about budgets far off.
template <class Procedure>
void complete(Procedure& found, const Asked& asked) {
  found.source = asked.input.source;
  found.params_convention = asked.input.params_convention;
  if (!found.line) return;
  for (const Flops budget : asked.budgets)
    if (auto doubt = fit::extrapolation(*found.line, budget))
      found.doubts.push_back(std::move(*doubt));
}

// p and k with their intervals, and what the line says for each budget.
std::string line_text(const fit::OptimumLine& line, std::span<const Flops> budgets);

// What a procedure found, in the forms that the options may ask for. It is written where it is
// trusted or --force is given; else the exit code is that of ErrorKind::untrusted.
struct Found {
  std::string name;  // "the isoFLOP line"
  std::string text;
  Json document;
  std::string csv;
  report::Page page;
  std::span<const fit::Doubt> doubts;
};
Result<int> show_and_write(const Arguments& arguments, const Found& found);

}  // namespace ration::cli
