#include "cli/explain_loop.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/loop_text.h"

namespace ration::cli {

using loop::Decision;
using loop::Journal;
using loop::Pick;

Result<std::optional<ChosenBy>> chosen_by(const store::Reader& store, const std::string& run) {
  const Path& folder = store.layout().folder;
  Result<std::vector<std::string>> sweeps = loop::journals(real_files(), folder);
  if (!sweeps) return std::move(sweeps).error();
  for (const std::string& sweep : *sweeps) {
    Result<Journal> journal = Journal::open(real_files(), folder, sweep);
    if (!journal) return std::move(journal).error();
    for (const Decision& decision : journal->decisions())
      for (const Pick& pick : decision.runs)
        if (pick.run == run)
          return std::optional(ChosenBy{.sweep = sweep, .decision = decision, .pick = pick});
  }
  return std::optional<ChosenBy>();
}

std::string to_text(const ChosenBy& by) {
  const Decision& decision = by.decision;
  std::string text = fmt::format(
      "chosen by round {} of the loop of {}: {}\n", decision.round, by.sweep, decision.why);
  text += fmt::format("  its gain {:.3g}{}, its cost {}\n",
                      by.pick.gain,
                      by.pick.disagreement > 0
                          ? fmt::format(" ({:.0f} % for telling minima and laws apart)",
                                        100 * by.pick.disagreement / by.pick.gain)
                          : std::string(),
                      format_quantity(by.pick.flops, "flop"));
  return text + fmt::format("  known then, from {} runs: {}\n",
                            decision.done,
                            decision.law.empty() ? decision.doubt : goal_text(decision.goal));
}

Json to_json(const ChosenBy& by) {
  Json document = loop::to_json(by.decision);
  Json runs = std::move(document["runs"]);
  document.erase("runs");
  for (Json& run : runs)
    if (run["run"] == by.pick.run) document["chosen"] = std::move(run);
  document["sweep"] = by.sweep;
  return document;
}

Result<int> explain_loop(const Arguments& arguments, const store::Reader& store) {
  const Path& folder = store.layout().folder;
  std::string sweep = arguments.positional.front();
  Result<std::vector<std::string>> known = loop::journals(real_files(), folder);
  if (!known) return std::move(known).error();
  if (std::find(known->begin(), known->end(), sweep) == known->end()) {
    const Result<store::SweepRow> row = store.find_sweep(sweep);  // perhaps its file
    if (row) sweep = row->name;
  }
  if (std::find(known->begin(), known->end(), sweep) == known->end()) {
    std::string hint = did_you_mean(sweep, *known);
    if (hint.empty() && !known->empty())
      hint = fmt::format("sweeps with a loop: {}", fmt::join(*known, ", "));
    if (hint.empty()) hint = "`ration run SWEEP.toml --until …` begins one";
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no loop of \"{}\"", folder.string(), sweep),
                 .hint = std::move(hint)};
  }
  Result<Journal> journal = Journal::open(real_files(), folder, sweep);
  if (!journal) return std::move(journal).error();
  if (arguments.console.json) {
    Json decisions = Json::array();
    for (const Decision& decision : journal->decisions())
      decisions.push_back(loop::to_json(decision));
    arguments.console.print_json(
        {{"schema", "ration.explain_loop/1"}, {"sweep", sweep}, {"decisions", decisions}});
    return 0;
  }
  for (const Decision& decision : journal->decisions())
    arguments.console.print(decision_line(decision) + picks_table(decision) + "\n");
  return 0;
}

}  // namespace ration::cli
