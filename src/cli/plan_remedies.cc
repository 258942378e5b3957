#include "cli/plan_remedies.h"

#include <fmt/format.h>

#include "base/files.h"
#include "cli/page_file.h"
#include "cli/remedies_text.h"
#include "plan/remedies/combine.h"
#include "report/remedy_figures.h"

namespace ration::cli {
namespace {

report::Page page_of(const plan::PriceList& list) {
  return {.title = "Remedies",
          .sections = {{.title = "What each is worth",
                        .paragraphs = plan::assumptions(list),
                        .figures = {report::forest_figure(list)}}}};
}

}  // namespace

std::vector<Option> remedies_options() {
  return {{.name = "remedies",
           .value = "FILE",
           .help = "A price list of `ration remedies --json`: plan with the remedies that pay, "
                   "counting U_eq for U; --figure then draws the list."}};
}

std::vector<Error> remedies_conflicts(const Arguments& arguments) {
  std::vector<Error> problems;
  if (!arguments.flag("remedies")) return problems;
  for (const char* other : {"loss", "frontier", "pool", "csv", "details", "next"})
    if (arguments.flag(other))
      problems.push_back({.kind = ErrorKind::usage,
                          .what = fmt::format("--{} does not go with --remedies", other),
                          .hint = "leave one of them out"});
  return problems;
}

Result<plan::PriceList> read_price_list(const std::string& file) {
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<Json> document = parse_json(*text, file);
  if (!document) return std::move(document).error();
  return plan::price_list_from_json(*document, file);
}

Result<int> run_plan_remedies(const Arguments& arguments,
                              const fit::Fit& fit,
                              const plan::Request& request) {
  Result<plan::PriceList> list = read_price_list(*arguments.text("remedies"));
  if (!list) return std::move(list).error();
  Result<plan::RemediedPlan> plan = plan::plan_with_remedies(fit, request, *list);
  if (!plan) return std::move(plan).error();
  if (const auto file = arguments.text("figure")) {
    if (Result<void> done = write_page(arguments.console, page_of(*list), *file); !done)
      return std::move(done).error();
    arguments.console.note(fmt::format("wrote {}", *file));
  }
  if (arguments.console.json)
    arguments.console.print_json(plan::to_json(*plan, fit));
  else
    arguments.console.print(remedied_plan_text(*plan, *list, fit));
  return 0;
}

}  // namespace ration::cli
