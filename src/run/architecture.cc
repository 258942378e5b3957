#include "run/architecture.h"

#include <fmt/format.h>

#include <array>
#include <variant>
#include <vector>

#include "run/experts.h"

namespace ration::run {

namespace {

constexpr const char* kSettings[] = {"family",
                                     "layers",
                                     "width",
                                     "heads",
                                     "mlp",
                                     "mlp_width",
                                     "vocab",
                                     "tied",
                                     "bias",
                                     "qk_norm",
                                     "norm_eps",
                                     "rope_base",
                                     "parametrisation"};
std::string shown(const Value& value) {
  return std::visit([](const auto& v) { return Json(v).dump(); }, value);
}

}  // namespace

std::span<const std::string_view> expert_settings() {
  static constexpr std::array<std::string_view, 7> kNames = {"router",
                                                             "experts",
                                                             "expert_kind",
                                                             "expert_rank",
                                                             "expert_layers",
                                                             "expert_mode",
                                                             "expert_chunk"};
  return kNames;
}

std::string architecture_differences(const RunSpec& theirs, const RunSpec& spec) {
  std::vector<std::string> differences;
  const auto compare = [&](std::string_view name) {
    const Value a = get(theirs, name), b = get(spec, name);
    if (a != b) differences.push_back(fmt::format("{} ({} and {})", name, shown(a), shown(b)));
  };
  for (const char* name : kSettings) compare(name);
  if (has_experts(theirs) || has_experts(spec))
    for (const std::string_view name : expert_settings()) compare(name);
  // Learned positions are a tensor; rotary ones serve any context.
  if (spec.family == "gpt2" && theirs.context != spec.context)
    differences.push_back(fmt::format("context ({} and {})", theirs.context, spec.context));
  return fmt::format("{}", fmt::join(differences, ", "));
}

}  // namespace ration::run
