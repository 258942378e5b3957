#include <fmt/format.h>

#include <algorithm>

#include "import/import.h"

namespace ration::import {

std::string to_csv(const Imported& imported) {
  const auto& runs = imported.runs;
  const bool steps = std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.step; });
  const bool weights =
      std::any_of(runs.begin(), runs.end(), [](const auto& r) { return r.weight != 1; });
  std::string text = "params,tokens,unique_tokens,loss,run,epochs";
  text += steps ? ",step" : "";
  text += weights ? ",weight\n" : "\n";
  for (const ImportedRun& run : runs) {
    text += fmt::format("{},{},{},{},{},{}",
                        run.params,
                        run.tokens,
                        run.unique,
                        run.loss,
                        fit::csv_cell(run.run),
                        run.tokens / run.unique);
    if (steps) text += run.step ? fmt::format(",{}", *run.step) : ",";
    if (weights) text += fmt::format(",{}", run.weight);
    text += '\n';
  }
  return text;
}

Json to_json(const Imported& imported) {
  Json runs = Json::array(), guesses = Json::array();
  for (const ImportedRun& run : imported.runs)
    runs.push_back({{"run", run.run},
                    {"params", run.params},
                    {"tokens", run.tokens},
                    {"unique_tokens", run.unique},
                    {"epochs", run.tokens / run.unique},
                    {"loss", run.loss},
                    {"weight", run.weight},
                    {"step", run.step ? Json(*run.step) : Json(nullptr)}});
  const auto optional = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  for (const Guess& guess : imported.guesses)
    guesses.push_back({{"role", guess.role},
                       {"file", optional(guess.file)},
                       {"column", optional(guess.column)},
                       {"unit", optional(guess.unit)},
                       {"text", guess.text}});
  return {{"schema", "ration.import/1"},
          {"runs", std::move(runs)},
          {"guesses", std::move(guesses)},
          {"notes", imported.notes}};
}

}  // namespace ration::import
