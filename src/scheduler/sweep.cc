#include "scheduler/sweep.h"

#include "base/hash.h"
#include "scheduler/definition.h"

namespace ration::scheduler {

Result<Sweep> read_sweep(std::string_view text, const std::string& file) {
  Result<Definition> definition =
      read_definition(std::make_shared<const SourceText>(file, std::string(text)));
  if (!definition) return std::move(definition).error();
  return Sweep{.name = definition->name,
               .file = file,
               .source = std::string(text),
               .sha256 = sha256_hex(text),
               .goal = definition->goal,
               .stop = definition->stop,
               .study = definition->study,
               .has_runs = definition->has_runs,
               .weight = definition->weight,
               .definition = std::make_shared<const Definition>(std::move(*definition))};
}

}  // namespace ration::scheduler
