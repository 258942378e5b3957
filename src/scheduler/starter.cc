#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "scheduler/sweep.h"

namespace ration::scheduler {
namespace {

// "  # features, 2 to 65536" out of the tables of run/spec.h.
std::string unit_and_range(std::string_view setting) {
  for (const auto fields : {run::identity_fields(), run::execution_fields()})
    for (const run::Field& field : fields)
      if (field.name == setting)
        return fmt::format("# {}{}{}",
                           field.unit.size() > 1 ? field.unit : "",
                           field.unit.size() > 1 && !field.range.empty() ? ", " : "",
                           field.range);
  return "# above 0; tokens = epochs * unique_tokens";
}

std::string line(std::string_view setting, std::string_view value) {
  return fmt::format("{:<44}{}\n", fmt::format("{} = {}", setting, value), unit_and_range(setting));
}

}  // namespace

std::string starter_sweep(const std::string& data) {
  const std::string quoted = Json(data).dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string text =
      "# Which runs to train. docs/sweeps.md explains every key, `ration help settings` every\n"
      "# setting. `ration run FILE --dry-run` shows the runs; `ration run FILE` trains what is\n"
      "# missing and is safe to repeat.\n\n";
  text += fmt::format("{:<44}# from `ration data prepare`; starts at this file's folder\n",
                      "data = " + quoted);
  text += fmt::format("{:<44}# replicas of each point, each with its own text\n\n", "seeds = 2");
  text += "[fixed]  # one value for all runs\n";
  text += line("layers", "2") + line("context", "64") + line("batch_sequences", "8") +
          line("lr", "8e-3") + line("beta2", "0.99") + line("weight_decay", "1.0") +
          line("val_tokens", "0") + line("evals_per_decade", "0");
  text += "\n[grid]  # all combinations\n";
  text += line("width", "[16, 32, 64]") + line("unique_tokens", "[32768, 131072]") +
          line("epochs", "[1, 2, 4, 8, 16]");
  text += "\n[derive]  # calculated from the others\n";
  text += line("heads", "\"width / 16\"") + line("init_std", "\"0.02 * sqrt(768 / width)\"");
  return text;
}

}  // namespace ration::scheduler
