#pragma once

// What `fit isoflop` and `fit envelope` share: options, the words on their line, and how they end.

#include <span>

#include "cli/command.h"
#include "fit/optimum_line.h"
#include "report/page.h"

namespace ration::cli {

// --budget, --interval, --seed, --threads, --csv, --figure, --force, and those that say which runs.
std::vector<Option> optimum_options();

Result<std::vector<Flops>> asked_budgets(const Arguments& arguments);

// The numbers behind --bootstrap, --interval, --seed and --threads.
struct DrawOptions {
  int resamples = 0;
  double interval = 0;
  std::uint64_t seed = 0;
  int threads = 0;
};
Result<DrawOptions> draw_options(const Arguments& arguments);

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
