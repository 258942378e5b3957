#include "cli/region_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "cli/lineage.h"

namespace ration::cli {

std::vector<Option> region_options(bool group) {
  std::vector<Option> options = {
      {.name = "base",
       .value = "MODEL",
       .help = "The model that the others were fine-tuned from; vectors begin there. Required."}};
  if (group)
    options.push_back({.name = "group",
                       .value = "GROUP",
                       .default_value = "all",
                       .help = "Tensors that count: all, embedding, attention, mlp, norm, head, or "
                               "\"layer N\"; `ration region gram` lists those of a model."});
  for (Option& option : model_options()) options.push_back(std::move(option));
  return options;
}

Result<std::vector<region::Gram>> grams_of(const Arguments& arguments,
                                           const std::vector<std::string>& models) {
  const std::optional<std::string> base = arguments.text("base");
  if (!base)
    return Error{.kind = ErrorKind::usage,
                 .what = "a --base is missing",
                 .hint = "name the model that the others were fine-tuned from"};
  Result<merge::Options> options = merge_options(arguments);
  if (!options) return std::move(options).error();
  Result<OpenedModels> opened = open_models(base, models);
  if (!opened) return std::move(opened).error();
  // They may have begun with another base: how far apart starts are is a question, too.
  std::vector<std::string> all = models;
  all.push_back(*base);
  if (Result<void> alike = check_lineage(real_files(), std::nullopt, all); !alike)
    return std::move(alike).error();
  return region::gram(opened->inputs, *options);
}

Result<region::Gram> chosen_group(const Arguments& arguments, std::vector<region::Gram> grams) {
  const std::string wanted = arguments.text("group").value_or("all");
  std::vector<std::string> names;
  for (region::Gram& gram : grams) {
    if (gram.group == wanted) return std::move(gram);
    names.push_back(gram.group);
  }
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("the models have no group \"{}\"", wanted),
               .hint = fmt::format("one of: {}", fmt::join(names, ", "))};
}

std::string cell(double value, int decimals) {
  return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, decimals);
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace ration::cli
