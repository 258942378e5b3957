#include "run/architecture.h"

#include <fmt/format.h>

#include <vector>

namespace ration::run {

std::string architecture_differences(const RunSpec& theirs, const RunSpec& spec) {
  const Json a = to_json(theirs), b = to_json(spec);
  std::vector<std::string> differences;
  for (const char* name : {"family",
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
                           "parametrisation"})
    if (a.value(name, Json()) != b.value(name, Json()))
      differences.push_back(
          fmt::format("{} ({} and {})", name, a.value(name, Json()).dump(), b[name].dump()));
  // Learned positions are a tensor; rotary ones serve any context.
  if (spec.family == "gpt2" && theirs.context != spec.context)
    differences.push_back(fmt::format("context ({} and {})", theirs.context, spec.context));
  return fmt::format("{}", fmt::join(differences, ", "));
}

}  // namespace ration::run
