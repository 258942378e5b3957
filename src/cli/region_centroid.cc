#include <fmt/format.h>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/lineage.h"
#include "cli/merge_options.h"

namespace ration::cli {
namespace {

Result<int> run_centroid(const Arguments& arguments) {
  const std::optional<std::string> output = arguments.text("output");
  if (!output)
    return Error{.kind = ErrorKind::usage,
                 .what = "region centroid needs -o FILE",
                 .hint = "the file that the centroid is written to"};
  Result<merge::Options> options = merge_options(arguments);
  if (!options) return std::move(options).error();
  Result<OpenedModels> opened = open_models(std::nullopt, arguments.positional);
  if (!opened) return std::move(opened).error();
  if (Result<void> alike = check_lineage(real_files(), std::nullopt, arguments.positional); !alike)
    return std::move(alike).error();
  for (const merge::Named& model : opened->inputs.models)
    for (const Path& file : model.checkpoint->files()) {
      std::error_code missing;
      if (std::filesystem::equivalent(file, *output, missing))
        arguments.console.note(fmt::format(
            "note: the centroid replaces {}, of the input {}", file.string(), model.name));
    }
  merge::Recipe recipe;
  recipe.method = "average";
  recipe.models = arguments.positional;
  Result<merge::Summary> summary =
      merge::merge_to_file(real_files(), recipe, opened->inputs, *output, *options);
  if (!summary) return std::move(summary).error();
  const Console& console = arguments.console;
  for (const std::string& warning : summary->warnings) console.note("warning: " + warning);
  console.note(summary->one_line() + "; wrote " + *output);
  if (console.json)
    console.print_json({{"schema", "ration.region.centroid/1"},
                        {"models", arguments.positional},
                        {"file", *output},
                        {"tensors", summary->tensors},
                        {"elements", summary->elements},
                        {"warnings", summary->warnings}});
  return 0;
}

}  // namespace

Command region_centroid_command() {
  std::vector<Option> options = {
      {.name = "output", .value = "FILE", .help = "The centroid. Required.", .letter = 'o'}};
  for (Option& option : model_options()) options.push_back(std::move(option));
  return {.name = "region centroid",
          .summary = "Write the centroid of models, to begin another fine-tuning with",
          .arguments = "MODEL …",
          .min_arguments = 1,
          .max_arguments = 10'000,
          .options = std::move(options),
          .description =
              "The mean of the weights: the same bytes as `ration merge --method average`. A run "
              "begins with it by\ninit = \"file:centroid.safetensors\" (docs/fine-tuning.md).\n\n"
              "  ration region centroid a b c -o centroid.safetensors",
          .execute = run_centroid};
}

}  // namespace ration::cli
