#include "study/remedies/prepared.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/table_reader.h"
#include "data/manifest.h"
#include "eval/pairs/task.h"
#include "study/output.h"

namespace ration::study {
namespace {

using scheduler::PlannedRun;

class Checker {
 public:
  Checker(const RemedyTable& table, const Blocks& blocks, const std::string& file, Files& files)
      : table_(table), blocks_(blocks), file_(file), files_(files) {
    for (const auto& [name, runs] : blocks) names_.push_back(name);
  }

  std::vector<Error> check() {
    const bool judged = check_pairs(table_.baseline);
    for (const std::string& name : table_.law)
      if (is_there(name) && judged) check_held_out(name);
    for (const RemedyArm& arm : table_.arms) {
      for (const std::string& name : arm.blocks)
        if (check_pairs(name) && judged) check_held_out(name);
      if (arm.chain && check_pairs(arm.chain->start) && judged) check_sizes(arm);
    }
    return std::move(problems_);
  }

 private:
  void refuse(ErrorKind kind, const std::string& what, std::string hint) {
    problems_.push_back(
        {.kind = kind, .what = fmt::format("{}: {}", file_, what), .hint = std::move(hint)});
  }

  bool is_there(const std::string& name) {
    const bool found = blocks_.contains(name) && !name.empty();
    if (!found)
      refuse(ErrorKind::usage,
             fmt::format("[remedies] names the block \"{}\", which is none", name),
             fmt::format("{}; `name` in a [[block]] names it, and a block whose runs another one "
                         "has, too, is none",
                         nearest_or_all(name, names_)));
    return found;
  }

  // Each size has one run a replica, from 0 on: runs that two blocks ask for are the first one's.
  bool check_pairs(const std::string& name) {
    if (!is_there(name)) return false;
    std::map<std::string, std::set<std::int64_t>> replicas;
    for (const PlannedRun* run : blocks_.at(name))
      if (!replicas[size_of(run->spec)].insert(run->replica).second) {
        refuse(ErrorKind::usage,
               fmt::format("block \"{}\" has two runs of size {} and replica {}",
                           name,
                           size_of(run->spec),
                           run->replica),
               "remedies are compared by size and seed; give each setting a block");
        return false;
      }
    for (const auto& [size, some] : replicas)
      if (*some.rbegin() + 1 != std::ssize(some)) {
        refuse(ErrorKind::usage,
               fmt::format("block \"{}\" lacks replicas of size {}: an earlier block has the same "
                           "runs",
                           name,
                           size),
               "put the block before the other one, for example before the law's");
        return false;
      }
    return true;
  }

  // What losses are of: text, tokens, and how many of them.
  std::string judged_by(const PlannedRun& run) {
    const std::string& folder = run.execution.data;
    auto known = held_out_.find(folder);
    if (known == held_out_.end()) {
      const Result<data::Manifest> manifest = data::read_manifest(files_, folder);
      known = held_out_
                  .emplace(folder,
                           manifest ? fmt::format("{} {}",
                                                  manifest->val.tokens_sha256,
                                                  manifest->tokenizer_sha256)
                                    : "")
                  .first;
    }
    return fmt::format("{} {} {}", known->second, run.spec.val_tokens, run.spec.context);
  }

  void check_held_out(const std::string& name) {
    const std::string expected = judged_by(*blocks_.at(table_.baseline).front());
    for (const PlannedRun* run : blocks_.at(name))
      if (judged_by(*run) != expected)
        return refuse(
            ErrorKind::input,
            fmt::format("block \"{}\" is judged on other held-out text than \"{}\": {}, "
                        "val_tokens {}, context {}",
                        name,
                        table_.baseline,
                        run->execution.data,
                        run->spec.val_tokens,
                        run->spec.context),
            "prepare its data with the same held-out text and tokenizer, and leave val_tokens and "
            "context as the baseline has them; a start on other text belongs in a chain");
  }

  void check_sizes(const RemedyArm& arm) {
    std::set<std::string> sizes;
    for (const PlannedRun* run : blocks_.at(table_.baseline)) sizes.insert(size_of(run->spec));
    for (const PlannedRun* run : blocks_.at(arm.chain->start))
      if (!sizes.contains(size_of(run->spec)))
        return refuse(ErrorKind::usage,
                      fmt::format("arm \"{}\" starts with size {}, which block \"{}\" lacks",
                                  arm.name,
                                  size_of(run->spec),
                                  table_.baseline),
                      "an arm is compared with the baseline of its size");
  }

  const RemedyTable& table_;
  const Blocks& blocks_;
  const std::string& file_;
  Files& files_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> held_out_;  // by folder
  std::vector<Error> problems_;
};

// The runs of a chain's rounds as sweeps, which tells what no run can have.
Result<void> check_chain(const RemedyChain& chain,
                         std::span<const ChainStart> starts,
                         const ChainPlace& place,
                         Files& files) {
  std::vector<std::string> inits;
  for (const ChainStart& start : starts) inits.push_back("run:" + start.run);
  const auto expands = [&](std::span<const Json> branches, std::int64_t round) -> Result<void> {
    const Json json = round_sweep(starts, inits, branches, round, place);
    Result<scheduler::Sweep> sweep =
        scheduler::read_sweep(json.dump(1), json["name"].get<std::string>());
    if (!sweep) return std::move(sweep).error();
    Result<scheduler::Expansion> plan = scheduler::expand(*sweep, files);
    if (!plan) return std::move(plan).error();
    return {};
  };
  if (!chain.branches.empty())
    if (Result<void> good = expands(chain.branches, 0); !good)
      return std::move(good).error().with_context("branches");
  if (!chain.finish) return {};
  Result<void> good = expands(std::span<const Json>(&*chain.finish, 1), chain.rounds);
  if (!good) return std::move(good).error().with_context("finish");
  return {};
}

}  // namespace

std::string size_of(const run::RunSpec& spec) {
  return fmt::format("{}x{}", spec.layers, spec.width);
}

Blocks blocks_of(const scheduler::Expansion& plan) {
  std::vector<const PlannedRun*> runs;
  for (const PlannedRun& run : plan.runs) runs.push_back(&run);
  std::sort(runs.begin(), runs.end(), [](auto* a, auto* b) { return a->ordinal < b->ordinal; });
  Blocks blocks;
  for (const PlannedRun* run : runs) blocks[run->block].push_back(run);
  return blocks;
}

std::vector<ChainStart> chain_starts(const std::vector<const PlannedRun*>& runs) {
  std::vector<ChainStart> starts;
  for (const PlannedRun* run : runs)
    starts.push_back({.run = run->id,
                      .size = size_of(run->spec),
                      .replica = run->replica,
                      .spec = run->spec,
                      .execution = run->execution,
                      .flops = run->facts.flops});
  return starts;
}

ChainPlace chain_place(const scheduler::Sweep& sweep, const Path& store, const RemedyArm& arm) {
  return {.name = fmt::format("{}-{}", sweep.name, arm.name),
          .folder = std::filesystem::absolute(study_folder(store, sweep.name)).lexically_normal() /
                    arm.name,
          .base = std::filesystem::absolute(sweep.file).parent_path()};
}

Result<PreparedRemedies> prepare_remedies(const scheduler::Sweep& sweep,
                                          const scheduler::SweepOptions& options,
                                          Files& files) {
  Result<RemedyTable> table = read_remedy_table(sweep.study->table, sweep.file);
  if (!table) return std::move(table).error();
  Result<scheduler::Expansion> plan = scheduler::expand(sweep, files, options.expand);
  if (!plan) return std::move(plan).error();
  const Blocks blocks = blocks_of(*plan);
  std::vector<Error> problems = Checker(*table, blocks, sweep.file, files).check();
  for (const RemedyArm& arm : table->arms) {
    if (!arm.chain || !blocks.contains(arm.chain->start)) continue;
    const std::vector<ChainStart> starts = chain_starts(blocks.at(arm.chain->start));
    Result<void> good =
        check_chain(*arm.chain, starts, chain_place(sweep, options.store, arm), files);
    if (!good)
      problems.push_back(std::move(good).error().with_context(
          fmt::format("{}: arm \"{}\"", sweep.file, arm.name)));
  }
  if (!table->task.empty()) {
    const Path path = Path(sweep.file).parent_path() / table->task;
    Result<eval::PairTask> task = eval::read_task(files, path, {});
    if (!task) problems.push_back(std::move(task).error().with_context("[remedies] task"));
  }
  if (!problems.empty())
    return combine(std::move(problems), sweep.file + ": [remedies] cannot be carried out");
  return PreparedRemedies{.table = std::move(*table), .plan = std::move(*plan)};
}

}  // namespace ration::study
