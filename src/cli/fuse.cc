#include "cli/fuse.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/fusion_experiment.h"
#include "cli/store_option.h"
#include "study/fusion/experiment.h"

namespace ration::cli {
namespace {

// `ration run` of a file with [fuse].
Result<int> run_fuse(const Arguments& arguments) {
  const std::string& file = arguments.positional.front();
  Result<std::string> text = real_files().read(file);
  if (!text) return std::move(text).error();
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(*text, file);
  if (!sweep) return std::move(sweep).error();
  if (!sweep->study || sweep->study->kind != "fuse")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} has no table [fuse]", file),
                 .hint = "docs/fusing.md shows one; `ration run` carries out plain sweeps"};
  return run_command().execute(arguments);
}

Json summary_json(const fuse::Summary& summary) {
  return {{"schema", "ration.fusion_run/1"},
          {"fusion", summary.name},
          {"folder", summary.folder.string()},
          {"rounds", rounds_json(summary.rounds)},
          {"of", summary.of},
          {"base", summary.base},
          {"base_file", summary.base_file.string()},
          {"trained", summary.trained},
          {"waiting", summary.waiting},
          {"exit", summary.exit_code()}};
}

Result<int> run_status(const Arguments& arguments) {
  const std::optional<std::string> name =
      arguments.positional.empty() ? std::nullopt : std::optional(arguments.positional.front());
  Result<Path> folder = named_fusion(arguments, name);
  if (!folder) return std::move(folder).error();
  Result<fuse::Progress> progress = fuse::progress_of(real_files(), *folder);
  if (!progress) return std::move(progress).error();
  const Console& console = arguments.console;
  if (console.json) {
    console.print_json({{"schema", "ration.fusion_status/1"},
                        {"folder", folder->string()},
                        {"of", progress->of},
                        {"base", progress->base},
                        {"open_round", progress->open_round},
                        {"arrived", progress->arrived},
                        {"awaited", progress->awaited},
                        {"deadline", progress->deadline ? Json(*progress->deadline) : Json()},
                        {"rounds", rounds_json(progress->rounds)}});
    return 0;
  }
  console.print(rounds_table(progress->rounds));
  if (arguments.flag("contributions")) console.print("\n" + contributions_table(progress->rounds));
  console.note(fmt::format("{} of {}; base {}",
                           progress->rounds.size(),
                           counted(static_cast<std::size_t>(progress->of), "round"),
                           progress->base));
  if (progress->open_round > 0)
    console.note(fmt::format("round {}: {} in, waits for {}",
                             progress->open_round,
                             progress->arrived.size(),
                             progress->awaited.empty()
                                 ? std::string("nobody")
                                 : fmt::to_string(fmt::join(progress->awaited, ", "))));
  return 0;
}

Result<int> run_submit(const Arguments& arguments) {
  const std::optional<std::string> from = arguments.text("from");
  const std::optional<std::string> contributor = arguments.text("contributor");
  if (!from || !contributor)
    return Error{.kind = ErrorKind::usage,
                 .what = "ration fuse submit needs --from and --contributor",
                 .hint =
                     "--from HASH of the base that the model was trained from, as `ration fuse "
                     "status` shows it, --contributor ID of [[fuse.contributor]]"};
  Result<Path> folder = named_fusion(arguments, arguments.text("fusion"));
  if (!folder) return std::move(folder).error();
  Result<std::optional<std::int64_t>> tokens = arguments.whole("tokens", 0, kLargestWhole);
  if (!tokens) return std::move(tokens).error();
  guard_store(arguments);
  Result<fuse::Submitted> submitted = fuse::submit(real_files(),
                                                   *folder,
                                                   {.contributor = *contributor,
                                                    .from = *from,
                                                    .model = arguments.positional.front(),
                                                    .tokens = tokens->value_or(0)});
  if (!submitted) return std::move(submitted).error();
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.fusion_submission/1"},
                                  {"contributor", *contributor},
                                  {"number", submitted->number},
                                  {"from", submitted->from},
                                  {"staleness", submitted->staleness},
                                  {"note", submitted->note}});
  else
    arguments.console.print(fmt::format(
        "submission {} of {}; `ration fuse run` takes it\n", submitted->number, *contributor));
  if (!submitted->note.empty()) arguments.console.note(submitted->note);
  return 0;
}

Result<int> run_replay(const Arguments& arguments) {
  Result<Path> folder = named_fusion(
      arguments,
      arguments.positional.empty() ? std::nullopt : std::optional(arguments.positional.front()));
  if (!folder) return std::move(folder).error();
  Result<std::vector<fuse::Replayed>> all = fuse::replay(real_files(), *folder);
  if (!all) return std::move(all).error();
  Json rows = Json::array();
  std::size_t different = 0;
  for (const fuse::Replayed& each : *all) {
    const bool same = each.before == each.now;
    different += same ? 0 : 1;
    rows.push_back({{"round", each.round},
                    {"contributor", each.contributor},
                    {"before", each.before},
                    {"now", each.now},
                    {"same", same}});
    if (!arguments.console.json)
      arguments.console.print(fmt::format("round {}{}: {} {}\n",
                                          each.round,
                                          each.contributor.empty() ? "" : " " + each.contributor,
                                          each.before.substr(0, 12),
                                          same ? "again" : "is now " + each.now.substr(0, 12)));
  }
  const int exit = different == 0 ? 0 : ration::exit_code(ErrorKind::untrusted);
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.fusion_replay/1"},
                                  {"fusions", rows},
                                  {"different", different},
                                  {"exit", exit}});
  arguments.console.note(fmt::format("{} made again, {} {}",
                                     counted(all->size(), "fusion"),
                                     different,
                                     different == 1 ? "differs" : "differ"));
  return exit;
}

}  // namespace

Result<void> check_fusion(const scheduler::Sweep& sweep,
                          const scheduler::SweepOptions& options,
                          Files& files) {
  if (study::is_experiment(sweep.study->table)) {
    Result<study::FusionStudy> study = study::check_fusion_experiment(sweep, options, files);
    return study ? Result<void>() : Result<void>(std::move(study).error());
  }
  Result<fuse::Config> config = fuse::parse_config(sweep.study->table, sweep.file);
  if (!config) return std::move(config).error();
  return fuse::check(*config, sweep, options, files);
}

Result<int> carry_out_fusion(const scheduler::Sweep& sweep,
                             const scheduler::SweepOptions& options,
                             scheduler::Outside outside,
                             const Console& console) {
  if (study::is_experiment(sweep.study->table))
    return run_fusion_experiment(sweep, options, outside, console);
  Result<fuse::Config> config = fuse::parse_config(sweep.study->table, sweep.file);
  if (!config) return std::move(config).error();
  Result<fuse::Setup> setup = fuse::prepare(*config, sweep, options, outside.files);
  if (!setup) return std::move(setup).error();
  Result<fuse::Summary> summary = fuse::run_fusion(*config, *setup, outside);
  if (!summary) return std::move(summary).error();
  if (console.json)
    console.print_json(summary_json(*summary));
  else if (console.quiet)
    console.print(summary->base_file.string() + "\n");
  else
    console.print(rounds_table(summary->rounds));
  console.note(summary->one_line());
  if (summary->exit_code() == 0) console.note("the last base: " + summary->base_file.string());
  return summary->exit_code();
}

Command fuse_run_command() {
  Command command = run_command();
  command.name = "fuse run";
  command.summary = "Fine-tune a base on the data of many contributors, fuse, and repeat";
  command.arguments = "SWEEP.toml";
  command.max_arguments = 1;
  // What is for the choice of runs, or for sweeps without a study.
  const std::set<std::string> kept = {"store",
                                      "jobs",
                                      "gpu-share",
                                      "gpu-memory",
                                      "dry-run",
                                      "retry-failed",
                                      "backoff",
                                      "trainer",
                                      "executor",
                                      "config",
                                      "take-over"};
  std::erase_if(command.options, [&](const Option& option) { return !kept.contains(option.name); });
  command.description =
      "The file's own runs come first, the base among them; then the rounds of its [fuse]:\n"
      "contributors train from the base, what they made is screened and fused into the next.\n"
      "The same command goes on after a crash, Ctrl-C, or a round that waits for somebody\n"
      "(exit status 5); nothing is trained twice.\n\n"
      "  ration fuse run fusion.toml --jobs 2";
  command.execute = run_fuse;
  return command;
}

Command fuse_status_command() {
  return {.name = "fuse status",
          .summary = "Show the rounds of a fusion, and whom it waits for",
          .arguments = "[NAME]",
          .min_arguments = 0,
          .max_arguments = 1,
          .options = {store_option(),
                      {.name = "contributions",
                       .help = "Also each contribution with its verdict and the reason."}},
          .description = "Without a name the only fusion of the store.\n\n  ration fuse status",
          .execute = run_status};
}

Command fuse_submit_command() {
  return {
      .name = "fuse submit",
      .summary = "Hand in a model that an external contributor trained",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = {store_option(),
                  {.name = "from",
                   .value = "HASH",
                   .help = "SHA-256 of the base that it was trained from, 8 digits at least. "
                           "Required."},
                  {.name = "contributor",
                   .value = "ID",
                   .help = "Of a [[fuse.contributor]] with external = true. Required."},
                  {.name = "fusion",
                   .value = "NAME",
                   .help = "The fusion; without it the only one of the store."},
                  {.name = "tokens",
                   .value = "N",
                   .help = "That it was trained on; what the sweep file says without it."}},
      .description =
          "Refused with exit status 2, nothing being written: names, shapes or formats that are\n"
          "not those of the base, NaN and infinity, a damaged file, an unknown base, a fusion "
          "that\n"
          "has ended or was aborted. Where the base is not the current one any more, a line says\n"
          "what `late` will do with the model.\n\n"
          "  ration fuse submit prose.safetensors --from 0123456789ab --contributor prose",
      .execute = run_submit};
}

Command fuse_replay_command() {
  return {
      .name = "fuse replay",
      .summary = "Make every base of a fusion again from its contributions, and compare",
      .arguments = "[NAME]",
      .min_arguments = 0,
      .max_arguments = 1,
      .options = {store_option()},
      .description =
          "Exit status 4 where a hash differs; writes nothing that stays. Refused while `ration\n"
          "fuse run` works on the fusion.\n\n"
          "  ration fuse replay fusion",
      .execute = run_replay};
}

}  // namespace ration::cli
