#include "cli/region_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "cli/lineage.h"
#include "cli/terminal_text.h"

namespace ration::cli {

namespace {

// Two names of one file, wherever they come from.
std::optional<Error> named_twice(const merge::Inputs& inputs) {
  std::error_code gone;
  for (std::size_t i = 0; i < inputs.models.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const std::vector<Path> a = inputs.models[i].checkpoint->files();
      const std::vector<Path> b = inputs.models[j].checkpoint->files();
      const bool same =
          a.size() == b.size() &&
          std::equal(a.begin(), a.end(), b.begin(), [&](const Path& x, const Path& y) {
            return std::filesystem::equivalent(x, y, gone);
          });
      if (!same) continue;
      return Error{
          .kind = ErrorKind::input,
          .what = inputs.models[i].name == inputs.models[j].name
                      ? fmt::format("{} is named twice", inputs.models[i].name)
                      : fmt::format(
                            "{} and {} are one file", inputs.models[j].name, inputs.models[i].name),
          .hint = "name each model once: a copy is no further evidence"};
    }
  return std::nullopt;
}

}  // namespace

std::vector<Option> region_options(bool group) {
  std::vector<Option> options = {
      {.name = "base",
       .value = "MODEL",
       .help = "The model that the others were fine-tuned from; vectors begin there. Required."},
      {.name = "other-starts",
       .help =
           "Take models whose runs began elsewhere than with the base, to compare starts. Their "
           "vectors share the way from the base to their own start: cosines near 1/2 or above "
           "then mean that offset alone."}};
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
                                           const std::vector<std::string>& models,
                                           bool distinct) {
  const std::optional<std::string> base = arguments.text("base");
  if (!base)
    return Error{.kind = ErrorKind::usage,
                 .what = "a --base is missing",
                 .hint = "name the model that the others were fine-tuned from"};
  Result<merge::Options> options = merge_options(arguments);
  if (!options) return std::move(options).error();
  Result<OpenedModels> opened = open_models(base, models);
  if (!opened) return std::move(opened).error();
  if (distinct)
    if (std::optional<Error> twice = named_twice(opened->inputs)) return std::move(*twice);
  std::vector<std::string> all = models;
  all.push_back(*base);
  const bool others = arguments.flag("other-starts");
  Result<void> alike = others ? check_lineage(real_files(), std::nullopt, all)
                              : check_lineage(real_files(), base, models);
  if (!alike) {
    Error error = std::move(alike).error();
    error.hint += error.hint.empty() ? "" : "; ";
    error.hint += "--other-starts takes models of other starts";
    return error;
  }
  Result<std::vector<region::Gram>> grams = region::gram(opened->inputs, *options);
  if (!grams) {
    Error error = std::move(grams).error();
    if (error.hint.starts_with("merge models"))  // matching is shared with merging
      error.hint = "compare models of one architecture; --ignore leaves single tensors out";
    return error;
  }
  if (grams->front().elements == 0)
    return Error{.kind = ErrorKind::input,
                 .what = "no tensor is left to compare",
                 .hint = "--ignore matches them all, or none holds floating-point numbers"};
  return grams;
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

std::vector<std::size_t> moved_models(const region::Gram& gram,
                                      std::size_t first,
                                      const Console& console) {
  std::vector<std::size_t> moved;
  for (std::size_t i = first; i < gram.models(); ++i)
    if (gram.norm(i) > 0)
      moved.push_back(i);
    else
      console.note(fmt::format("warning: {} equals the base in \"{}\": it is left out",
                               without_control_bytes(gram.names[i]),
                               gram.group));
  return moved;
}

bool same_place(const std::string& a, const std::string& b) {
  std::error_code gone;
  return a == b || std::filesystem::equivalent(a, b, gone);
}

std::string cell(double value, int decimals) {
  return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, decimals);
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace ration::cli
