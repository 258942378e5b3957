#include <fmt/format.h>

#include <cmath>

#include "cli/commands.h"
#include "cli/fuse.h"
#include "cli/page_file.h"
#include "cli/store_option.h"
#include "report/vega.h"

namespace ration::cli {
namespace {

using report::axis;
using report::rounded;

// A row a contribution that arrived.
Json contribution_rows(const std::vector<fuse::RoundRecord>& rounds) {
  Json rows = Json::array();
  for (const fuse::RoundRecord& round : rounds)
    for (const fuse::Contribution& each : round.contributions)
      if (each.sequence > 0)
        rows.push_back({{"round", round.round},
                        {"contributor", each.contributor},
                        {"loss", rounded(each.loss)},
                        {"norm", rounded(each.norm)},
                        {"verdict", fuse::name(each.verdict)}});
  return rows;
}

Json probe_rows(const std::vector<fuse::RoundRecord>& rounds) {
  Json rows = Json::array();
  for (const fuse::RoundRecord& round : rounds)
    if (std::isfinite(round.probe_after))
      rows.push_back({{"round", round.round}, {"loss", rounded(round.probe_after)}});
  return rows;
}

Json round_axis() {
  return {{"field", "round"},
          {"type", "quantitative"},
          {"title", "round"},
          {"axis", {{"tickMinStep", 1}, {"format", "d"}}}};
}

Json coloured(const char* field, const char* title) {
  return {{"field", field}, {"type", "nominal"}, {"title", title}};
}

report::Figure loss_figure(const std::vector<fuse::RoundRecord>& rounds) {
  const Json y = axis("loss", "held-out loss (nats a token)", false);
  Json layers = Json::array();
  layers.push_back({{"data", {{"values", contribution_rows(rounds)}}},
                    {"mark", {{"type", "line"}, {"point", true}}},
                    {"encoding",
                     {{"x", round_axis()},
                      {"y", y},
                      {"color", coloured("contributor", "contributor, on its own data")}}}});
  layers.push_back(
      {{"data", {{"values", probe_rows(rounds)}}},
       {"mark", {{"type", "line"}, {"point", true}, {"strokeDash", {4, 3}}, {"color", "#333"}}},
       {"encoding", {{"x", round_axis()}, {"y", y}}}});
  return {.name = "loss",
          .caption =
              "Each contributor's loss on its own held-out text after its training in a "
              "round; dashed, the fused base's on the probes.",
          .spec = report::top_level({{"layer", std::move(layers)}}, "Loss by round")};
}

report::Figure norm_figure(const std::vector<fuse::RoundRecord>& rounds) {
  Json spec = {{"data", {{"values", contribution_rows(rounds)}}},
               {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}}},
               {"encoding",
                {{"x", round_axis()},
                 {"y", axis("norm", "length of the task vector", true)},
                 {"color", coloured("contributor", "contributor")},
                 {"shape", coloured("verdict", "verdict")}}}};
  return {.name = "norms",
          .caption =
              "How far each contribution went from the base of its round; one far from the "
              "others is refused.",
          .spec = report::top_level(std::move(spec), "Lengths of task vectors by round")};
}

report::Figure verdict_figure(const std::vector<fuse::RoundRecord>& rounds) {
  Json rows = Json::array();
  for (const fuse::RoundRecord& round : rounds)
    for (const fuse::Contribution& each : round.contributions)
      rows.push_back({{"round", round.round}, {"verdict", fuse::name(each.verdict)}});
  Json x = round_axis();
  x["type"] = "ordinal";
  x.erase("axis");
  Json spec = {{"data", {{"values", std::move(rows)}}},
               {"mark", "bar"},
               {"encoding",
                {{"x", std::move(x)},
                 {"y", {{"aggregate", "count"}, {"title", "contributions"}}},
                 {"color", coloured("verdict", "verdict")}}}};
  return {.name = "verdicts",
          .caption = "What became of the contributions of each round.",
          .spec = report::top_level(std::move(spec), "Verdicts by round")};
}

report::Table rounds_of_page(const std::vector<fuse::RoundRecord>& rounds) {
  report::Table table{.header = {"round", "status", "eta", "tokens", "base", "warnings"},
                      .rows = {}};
  for (const fuse::RoundRecord& round : rounds)
    table.rows.push_back({fmt::format("{}", round.round),
                          fuse::name(round.status),
                          fmt::format("{:g}", round.eta),
                          fmt::format("{}", round.tokens()),
                          round.next.substr(0, 12),
                          fmt::format("{}", fmt::join(round.warnings, "; "))});
  return table;
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

// With what was measured of a late contribution.
report::Table refusals(const std::vector<fuse::RoundRecord>& rounds) {
  report::Table table{
      .header = {"round", "contributor", "verdict", "norm", "cosine", "probe (nats)", "reason"},
      .rows = {}};
  for (const fuse::RoundRecord& round : rounds)
    for (const fuse::Contribution& each : round.contributions)
      if (each.verdict != fuse::Verdict::accepted)
        table.rows.push_back({fmt::format("{}", round.round),
                              each.contributor,
                              fuse::name(each.verdict),
                              shown(each.norm),
                              shown(each.cosine),
                              shown(each.probe),
                              each.reason});
  return table;
}

Result<int> run_report(const Arguments& arguments) {
  const std::optional<std::string> name =
      arguments.positional.empty() ? std::nullopt : std::optional(arguments.positional.front());
  Result<Path> folder = named_fusion(arguments, name);
  if (!folder) return std::move(folder).error();
  Result<std::vector<fuse::RoundRecord>> rounds = fuse::rounds_of(real_files(), *folder);
  if (!rounds) return std::move(rounds).error();
  const std::string file = *arguments.text("output");
  if (Result<void> done = refuse_own_file(store::Layout{*arguments.text("store")}, file); !done)
    return std::move(done).error();
  report::Page page{.title = fmt::format("Fusion {}", folder->filename().string()), .sections = {}};
  page.sections.push_back({.title = "Rounds",
                           .paragraphs = {},
                           .tables = {rounds_of_page(*rounds)},
                           .figures = {loss_figure(*rounds)}});
  page.sections.push_back({.title = "Contributions",
                           .paragraphs = {"What was not fused. The cosine is the mean to the other "
                                          "task vectors of the round; of a late contribution, "
                                          "measured by late = \"log\", to the step that the "
                                          "round made."},
                           .tables = {refusals(*rounds)},
                           .figures = {norm_figure(*rounds), verdict_figure(*rounds)}});
  if (Result<void> done = write_page(arguments.console, page, file); !done)
    return std::move(done).error();
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.fusion_report/1"}, {"file", file}});
  else
    arguments.console.print(file + "\n");
  return 0;
}

}  // namespace

Command fuse_report_command() {
  return {.name = "fuse report",
          .summary = "Write a page about a fusion: loss by round, norms, verdicts",
          .arguments = "[NAME]",
          .min_arguments = 0,
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "output",
                       .value = "FILE",
                       .default_value = "fusion.html",
                       .help = "The page; it needs no network.",
                       .letter = 'o'}},
          .description = "  ration fuse report -o fusion.html",
          .execute = run_report};
}

}  // namespace ration::cli
