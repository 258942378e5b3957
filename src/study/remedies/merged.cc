#include "study/remedies/merged.h"

#include <fmt/format.h>

#include <deque>

#include "checkpoint/checkpoint.h"
#include "merge/merge.h"

namespace ration::study {

Result<void> merge_weights(Files& files,
                           const Json& json,
                           const Path& base,
                           const std::vector<Path>& models,
                           const Path& output) {
  std::deque<checkpoint::Checkpoint> opened;
  std::deque<merge::Named> named;
  const auto open = [&](const Path& path, const std::string& name) -> Result<merge::Named*> {
    Result<checkpoint::Checkpoint> found = checkpoint::Checkpoint::open(files, path);
    if (!found) return std::move(found).error();
    opened.push_back(std::move(*found));
    named.push_back({.name = name, .checkpoint = &opened.back()});
    return &named.back();
  };
  Json recipe = json;
  recipe["models"] = Json::array();
  merge::Recipe plain;
  plain.method = recipe.value("method", "average");
  merge::Inputs inputs;
  if (merge::needs_base(plain)) {
    recipe["base"] = "start";
    Result<merge::Named*> start = open(base, "start");
    if (!start) return std::move(start).error();
    inputs.base = *start;
  }
  for (const Path& path : models) {
    const std::string name = fmt::format("branch-{}", inputs.models.size() + 1);
    Result<merge::Named*> model = open(path, name);
    if (!model) return std::move(model).error();
    recipe["models"].push_back(name);
    inputs.models.push_back(**model);
  }
  Result<merge::Recipe> parsed = merge::parse_recipe(recipe, "[[remedies.arm]] recipe");
  if (!parsed) return std::move(parsed).error();
  if (Result<void> made = files.make_folders(output.parent_path()); !made) return made;
  merge::Options options;
  options.version = "study";
  Result<merge::Summary> done = merge::merge_to_file(files, *parsed, inputs, output, options);
  if (!done) return std::move(done).error();
  return {};
}

}  // namespace ration::study
