#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/merge_options.h"
#include "cli/merge_text.h"
#include "merge/compare.h"

namespace ration::cli {
namespace {

Result<int> run_diff(const Arguments& arguments) {
  const Console& console = arguments.console;
  Result<merge::Options> options = merge_options(arguments);
  if (!options) return std::move(options).error();
  const std::optional<std::string> named = arguments.text("base");
  // Without a base, the first model is one for the second.
  const std::string base = named.value_or(arguments.positional.front());
  const std::vector<std::string> models(arguments.positional.begin() + (named ? 0 : 1),
                                        arguments.positional.end());
  if (models.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "merge diff of one model needs a --base",
                 .hint = "name a second model, or its base"};
  const double k = named && models.size() > 1 ? 0.2 : 1;
  Result<OpenedModels> opened = open_models(base, models);
  if (!opened) return std::move(opened).error();
  Result<std::vector<merge::Comparison>> rows = merge::compare(opened->inputs, k, *options);
  if (!rows) return std::move(rows).error();
  if (console.json)
    console.print_json({{"schema", "ration.merge.diff/1"},
                        {"base", base},
                        {"models", models},
                        {"k", k},
                        {"tensors", comparison_json(*rows)}});
  else
    console.print(comparison_table(*rows, k, true));
  return 0;
}

}  // namespace

Command merge_diff_command() {
  std::vector<Option> options = {
      {.name = "base",
       .value = "MODEL",
       .help = "The model that the others were fine-tuned from. Without it, the others are "
               "compared with the first."}};
  for (Option& option : model_options()) options.push_back(std::move(option));
  return {.name = "merge diff",
          .summary = "Say how far models are from each other, tensor by tensor",
          .arguments = "MODEL …",
          .min_arguments = 1,
          .max_arguments = 1000,
          .options = std::move(options),
          .description =
              "For each tensor the length of each task vector (tau = model - base); of several "
              "models the mean\ncosine of pairs, and the share of elements where two signs "
              "conflict, before and after trimming to\nthe largest 20 % over all tensors.\n"
              "\n"
              "  ration merge diff --base base prose code",
          .execute = run_diff};
}

}  // namespace ration::cli
