// Merging: what git calls for a file that both sides changed, and `git ration merge` for one that
// is in conflict already.

#include <fmt/format.h>

#include "git/commands.h"
#include "git/merge_file.h"
#include "git/spool.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::MergedVersion;
using versions::Strategy;

// BASE OURS THEIRS MARKER-SIZE PATH; the result replaces OURS, which is left alone where there are
// conflicts.
Result<int> run_driver(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional;
  const bool ancestor = arguments.flag("ancestor");
  const std::string& path = words[4];
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<Strategy> strategy = strategy_for(*repository, path);
  if (!strategy) return std::move(strategy).error();
  Result<MergedVersion> merged =
      merge_file(*repository, {words[0], words[1], words[2]}, *strategy, ancestor);
  if (!merged) return std::move(merged).error().with_context(path);
  if (!ancestor) arguments.console.print_error(merge_report(path, *merged, *strategy));
  if (!ancestor && !merged->conflicts.empty()) return 1;
  if (Result<void> done = real_files().write_whole(words[1], to_text(merged->result)); !done)
    return std::move(done).error();
  return 0;
}

struct Stages {
  std::string mode = "100644";
  std::string ids[4];  // by stage; empty: there is none
};

Result<Stages> stages_of(const Repository& repository, const std::string& path) {
  Result<std::string> listed =
      repository.ask({"--literal-pathspecs", "ls-files", "-s", "-z", "--", path});
  if (!listed) return std::move(listed).error();
  Stages stages;
  // "<mode> <id> <stage>\t<path>\0" each.
  for (std::string_view rest = *listed; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || line.substr(tab + 1) != path) continue;
    const std::string_view stage = line.substr(tab - 1, 1);
    if (stage < "1" || stage > "3") continue;
    stages.mode = std::string(line.substr(0, line.find(' ')));
    stages.ids[stage[0] - '0'] = std::string(line.substr(7, tab - 9));
  }
  if (!stages.ids[2].empty() && !stages.ids[3].empty()) return stages;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{} is not in conflict between two versions", path),
               .hint =
                   "name files that `git status` lists as \"both modified\" or \"both added\"; "
                   "`git ration diff` compares others"};
}

// The blob of a stage as a file; an empty one where there is no blob.
Result<Path> spool_stage(Repository& repository, const std::string& id, Spool& spool) {
  if (!id.empty()) {
    Result<std::optional<std::string>> blob = repository.blob(id);
    if (!blob) return std::move(blob).error();
    if (!*blob)
      return Error{.kind = ErrorKind::input, .what = fmt::format("blob {} is missing", id)};
    if (Result<void> done = spool.append(**blob); !done) return std::move(done).error();
  }
  return spool.path();
}

// Puts a manifest into the index in the place of the stages, and the checkpoint into the work tree.
Result<void> resolve(const Repository& repository,
                     const std::string& path,
                     const std::string& mode,
                     const std::string& manifest) {
  Result<std::string> id = repository.ask({"hash-object", "-w", "--stdin"}, manifest);
  if (!id) return std::move(id).error();
  Result<std::string> done = repository.ask(
      {"update-index", "--add", "--cacheinfo", fmt::format("{},{},{}", mode, *id, path)});
  if (done) done = repository.ask({"checkout-index", "-f", "-u", "--", path});
  if (!done) return std::move(done).error();
  return {};
}

// The result may have conflicts; then nothing is changed.
Result<MergedVersion> merge_one(Repository& repository,
                                const cli::Console& console,
                                const std::string& path,
                                const std::optional<Strategy>& wanted) {
  Result<Stages> stages = stages_of(repository, path);
  if (!stages) return std::move(stages).error();
  Result<Strategy> strategy = wanted ? *wanted : strategy_for(repository, path);
  if (!strategy) return std::move(strategy).error();
  const Path folder = repository.store_folder() / "tmp";
  Spool base(folder);
  Spool ours(folder);
  Spool theirs(folder);
  Result<Path> base_file = spool_stage(repository, stages->ids[1], base);
  if (!base_file) return std::move(base_file).error();
  Result<Path> our_file = spool_stage(repository, stages->ids[2], ours);
  if (!our_file) return std::move(our_file).error();
  Result<Path> their_file = spool_stage(repository, stages->ids[3], theirs);
  if (!their_file) return std::move(their_file).error();
  Result<MergedVersion> merged =
      merge_file(repository, {*base_file, *our_file, *their_file}, *strategy, false);
  if (!merged) return std::move(merged).error().with_context(path);
  if (!console.json && !(console.quiet && merged->conflicts.empty()))
    console.print_error(merge_report(path, *merged, *strategy));
  if (!merged->conflicts.empty()) return merged;
  if (Result<void> done = resolve(repository, path, stages->mode, to_text(merged->result)); !done)
    return std::move(done).error();
  return merged;
}

Result<int> run_merge(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  std::optional<Strategy> strategy;
  if (const std::optional<std::string> text = arguments.text("strategy")) {
    Result<Strategy> parsed = versions::parse_strategy(*text);
    if (!parsed) return std::move(parsed).error().with_context("--strategy");
    strategy = *parsed;
  }
  bool all = true;
  Json files = Json::array();
  for (const std::string& typed : arguments.positional) {
    Result<std::string> path = path_from_top(*repository, typed);
    if (!path) return std::move(path).error();
    Result<MergedVersion> merged = merge_one(*repository, arguments.console, *path, strategy);
    if (!merged) return std::move(merged).error();
    all = all && merged->conflicts.empty();
    files.push_back(to_json(*path, *merged));
  }
  if (arguments.console.json)
    arguments.console.print_json({{"schema", "ration.git-merge/1"}, {"files", files}});
  return all ? 0 : 1;
}

constexpr const char* kStrategies =
    "Tensors that one side alone changed are taken from it. For those that both changed:\n"
    "  fail            a conflict (the default)\n"
    "  ours, theirs    as that side has them\n"
    "  base            as the common ancestor has them\n"
    "  average:ALPHA   ALPHA ours + (1 - ALPHA) theirs; 0 to 1, default 0.5\n"
    "  task:LAMBDA     base + LAMBDA ((ours - base) + (theirs - base)); default 1\n"
    "  ties:K,LAMBDA   TIES of the two differences, trimmed to the largest share K over all\n"
    "                  tensors that both changed; defaults 0.2 and 1\n"
    "Tensors that both added, that one deleted and the other changed, or that changed dtype or\n"
    "shape are conflicts under every strategy, and so are whole numbers, fp8, NaN and infinity\n"
    "under the last three.\n";

}  // namespace

cli::Command merge_command() {
  return {.name = "merge",
          .summary = "Merge files that are in conflict, by a strategy",
          .arguments = "PATH …",
          .min_arguments = 1,
          .max_arguments = 1000,
          .options = {{.name = "strategy",
                       .value = "STRATEGY",
                       .help = "What becomes of tensors that both sides changed; see above. "
                               "Without it, that of the attribute ration-merge or of "
                               "ration.merge, as in `git merge`."}},
          .description = std::string(kStrategies) +
                         "The result is added to the index and checked out; exit code 1 where "
                         "conflicts are left.\n"
                         "\n"
                         "  git ration merge --strategy average:0.3 model.safetensors",
          .execute = run_merge};
}

cli::Command merge_driver_command() {
  return {.name = "merge-driver",
          .summary = "Merge one file, for git (merge.ration.driver)",
          .arguments = "BASE OURS THEIRS MARKER-SIZE PATH",
          .min_arguments = 5,
          .max_arguments = 5,
          .options = {{.name = "ancestor",
                       .help = "The sides are common ancestors that git merges first: conflicts "
                               "become part of the result, and stay conflicts."}},
          .execute = run_driver,
          .hidden = true};
}

}  // namespace ration::git
