// From a sweep file to what a fusion needs, and run_fusion() itself.

#include <fmt/format.h>

#include <algorithm>

#include "fuse/driver.h"
#include "fuse/first_base.h"
#include "fuse/folder.h"
#include "fuse/lock.h"
#include "fuse/probe.h"
#include "fuse/rounds.h"

namespace ration::fuse {
namespace {

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

bool is_fusion_name(const std::string& name) {
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    const bool safe = !part.empty() && part.size() <= 64 &&
                      std::isalnum(static_cast<unsigned char>(part[0])) != 0 &&
                      std::all_of(part.begin(), part.end(), [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
                      });
    if (!safe) return false;
    if (end == name.size()) return true;
    begin = end + 1;
  }
}

// A task of each contributor that is trained here, to find what is wrong before anything is.
std::vector<Task> first_tasks(const Config& config, const Setup& setup) {
  Path base;
  if (!setup.base.empty()) base = std::filesystem::absolute(setup.base).lexically_normal();
  std::vector<Task> tasks;
  for (std::size_t place = 0; place < config.contributors.size(); ++place)
    if (!config.contributors[place].external)
      tasks.push_back({.contributor = &config.contributors[place],
                       .round = 1,
                       .base = "",
                       .base_file = base,
                       .seed = seed_of(config, 1, place)});
  return tasks;
}

Result<void> check_data(const Config& config, const Setup& setup) {
  std::vector<Error> problems;
  for (const Contributor& each : config.contributors)
    if (!each.external && each.data.empty() && setup.data.empty())
      problems.push_back(usage(fmt::format("contributor {} has no data", each.id),
                               "data = \"FOLDER\" in its [[fuse.contributor]]"));
  if (problems.empty()) return {};
  return combine(std::move(problems), "contributors have no data");
}

// Without contributors of its own a fusion still needs a shape for its probes.
Result<scheduler::PlannedRun> shape_of(const Config& config, const Setup& setup, Files& files) {
  Result<std::vector<scheduler::PlannedRun>> runs =
      plan(config, setup, first_tasks(config, setup), files);
  if (!runs) return std::move(runs).error();
  if (!runs->empty()) return runs->front();
  if (config.probe.empty()) return scheduler::PlannedRun();
  return probe_shape(config, setup, files);
}

}  // namespace

Result<void> check(const Config& config,
                   const scheduler::Sweep& sweep,
                   const scheduler::SweepOptions& options,
                   Files& files) {
  Setup setup;
  if (config.base.starts_with("block:") && sweep.has_runs) {
    setup.folder = std::filesystem::absolute(sweep.file).lexically_normal().parent_path();
    if (Result<void> done =
            expect_block(config.base.substr(6), sweep, options.expand, files, setup);
        !done)
      return done;
  } else {
    Result<Setup> prepared = prepare(config, sweep, options, files);
    if (!prepared) return std::move(prepared).error();
    setup = std::move(*prepared);
  }
  if (Result<void> there = check_data(config, setup); !there) return there;
  Result<scheduler::PlannedRun> shape = shape_of(config, setup, files);
  if (!shape) return std::move(shape).error();
  Result<std::vector<run::PointCorpus>> probes = probe_corpora(config, setup, shape->spec, files);
  return probes ? Result<void>() : std::move(probes).error();
}

Result<Setup> prepare(const Config& config,
                      const scheduler::Sweep& sweep,
                      const scheduler::SweepOptions& options,
                      Files& files,
                      std::int64_t replica) {
  Setup setup;
  setup.store = std::filesystem::absolute(options.store).lexically_normal();
  setup.name = sweep.name;
  setup.options = options;
  setup.folder = std::filesystem::absolute(sweep.file).lexically_normal().parent_path();
  Result<void> found = find_base(config.base, sweep, options.expand, replica, files, setup);
  if (!found) return std::move(found).error();
  return setup;
}

Result<Summary> run_fusion(const Config& config, const Setup& setup, scheduler::Outside outside) {
  if (!is_fusion_name(setup.name))
    return usage(fmt::format("\"{}\" is no name of a fusion", setup.name),
                 "letters, digits, `_`, `.` and `-`, parts joined by `/`");
  if (Result<void> there = check_data(config, setup); !there) return std::move(there).error();
  Result<scheduler::PlannedRun> shape = shape_of(config, setup, outside.files);
  if (!shape) return std::move(shape).error();
  if (auto probes = probe_corpora(config, setup, shape->spec, outside.files); !probes)
    return std::move(probes).error();
  const Path folder = fusion_folder(setup.store, setup.name);
  if (Result<void> made = outside.files.make_folders(folder); !made) return std::move(made).error();
  Result<Lock> lock = Lock::take(folder);
  if (!lock) return std::move(lock).error();
  std::int64_t trained = 0;
  const Hands hands = scheduled(config, setup, *shape, outside, trained);
  Result<Summary> summary = carry_out(config, setup, hands, outside.files, outside.clock);
  if (summary) summary->trained = trained;
  return summary;
}

}  // namespace ration::fuse
