#include "study/remedies/prepared.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/table_reader.h"
#include "data/manifest.h"

namespace ration::study {
namespace {

using scheduler::PlannedRun;

// Blocks that the table names and the file has not; blocks whose runs cannot be paired.
std::vector<Error> check_blocks(const RemedyTable& table,
                                const Blocks& blocks,
                                const std::string& file) {
  std::vector<Error> problems;
  const auto refuse = [&](std::string what, std::string hint) {
    problems.push_back({.kind = ErrorKind::usage,
                        .what = fmt::format("{}: {}", file, what),
                        .hint = std::move(hint)});
  };
  std::vector<std::string> names;
  for (const auto& [name, runs] : blocks) names.push_back(name);
  const auto there = [&](const std::string& name) {
    const bool found = blocks.contains(name) && !name.empty();
    if (!found)
      refuse(fmt::format("[remedies] names the block \"{}\", which is none", name),
             fmt::format("{}; `name` in a [[block]] names it", nearest_or_all(name, names)));
    return found;
  };
  const auto paired = [&](const std::string& name) {
    if (!there(name)) return;
    std::set<std::pair<std::string, std::int64_t>> known;
    for (const PlannedRun* run : blocks.at(name))
      if (!known.emplace(size_of(run->spec), run->replica).second)
        return refuse(fmt::format("block \"{}\" has two runs of size {} and replica {}",
                                  name,
                                  size_of(run->spec),
                                  run->replica),
                      "remedies are compared by size and seed; give each setting a block");
  };
  paired(table.baseline);
  for (const std::string& name : table.law) there(name);
  for (const RemedyArm& arm : table.arms) {
    for (const std::string& name : arm.blocks) paired(name);
    if (arm.chain) paired(arm.chain->start);
  }
  return problems;
}

void check_chain_data(const RemedyTable& table,
                      const Path& base,
                      Files& files,
                      std::vector<Error>& problems) {
  for (const RemedyArm& arm : table.arms) {
    if (!arm.chain) continue;
    std::vector<Json> all = arm.chain->branches;
    if (arm.chain->finish) all.push_back(*arm.chain->finish);
    for (const Json& settings : all) {
      const Json data = settings.value("data", Json());
      if (!data.is_string()) continue;
      const Path path = base / data.get<std::string>();
      if (Result<data::Manifest> found = data::read_manifest(files, path); !found)
        problems.push_back(
            std::move(found).error().with_context(fmt::format("arm \"{}\"", arm.name)));
    }
  }
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

Result<PreparedRemedies> prepare_remedies(const scheduler::Sweep& sweep,
                                          const scheduler::SweepOptions& options,
                                          Files& files) {
  Result<RemedyTable> table = read_remedy_table(sweep.study->table, sweep.file);
  if (!table) return std::move(table).error();
  Result<scheduler::Expansion> plan = scheduler::expand(sweep, files, options.expand);
  if (!plan) return std::move(plan).error();
  std::vector<Error> problems = check_blocks(*table, blocks_of(*plan), sweep.file);
  const Path base = Path(sweep.file).parent_path();
  check_chain_data(*table, base, files, problems);
  if (!table->task.empty() && !files.exists(base / table->task))
    problems.push_back(
        {.kind = ErrorKind::input,
         .what =
             fmt::format("{}: the task {} is not there", sweep.file, (base / table->task).string()),
         .hint = "`ration eval continuations` makes one of prepared data"});
  if (!problems.empty())
    return combine(std::move(problems), sweep.file + ": [remedies] cannot be carried out");
  return PreparedRemedies{.table = std::move(*table), .plan = std::move(*plan)};
}

}  // namespace ration::study
