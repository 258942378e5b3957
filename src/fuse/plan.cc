// The sweep of a round's contributors, and the runs that it asks for.

#include <fmt/format.h>

#include "base/hash.h"
#include "fuse/driver.h"

namespace ration::fuse {

std::string path_of(const Setup& setup, const std::string& path) {
  return std::filesystem::absolute(setup.folder / path).lexically_normal().string();
}

std::string sweep_name(const std::string& fusion, const std::string& ending) {
  constexpr std::size_t kLongest = 40;  // leaves room for the ending
  std::string name = fusion;
  std::replace(name.begin(), name.end(), '/', '.');
  if (name.size() > kLongest)
    name = name.substr(0, kLongest - 13) + "-" + sha256_hex(fusion).substr(0, 12);
  return fmt::format("{}.{}", name, ending);
}

std::string sweep_text(const Config& config,
                       const Setup& setup,
                       const std::vector<Task>& tasks,
                       const std::string& name) {
  Json fixed = setup.model.is_object() ? setup.model : Json::object();
  fixed.update(config.fixed);
  Json blocks = Json::array();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    Json settings = fixed;
    settings["seed"] = task.seed;
    settings.update(task.contributor->settings);
    if (!task.base_file.empty()) settings["init"] = "file:" + task.base_file.string();
    const std::string& data = task.contributor->data;
    blocks.push_back({{"name", fmt::format("c{}", i)},
                      {"data", data.empty() ? setup.data : path_of(setup, data)},
                      {"fixed", std::move(settings)}});
  }
  return Json{{"name", name}, {"vary_subset", false}, {"block", std::move(blocks)}}.dump(1) + "\n";
}

Result<std::vector<scheduler::PlannedRun>> expand_tasks(const Config& config,
                                                        const Setup& setup,
                                                        const std::vector<Task>& tasks,
                                                        Files& files) {
  const std::string text = sweep_text(config, setup, tasks, "contributors");
  Result<scheduler::Sweep> sweep =
      scheduler::read_sweep(text, (setup.folder / "contributors.json").string());
  if (!sweep) return std::move(sweep).error();
  Result<scheduler::Expansion> expansion = scheduler::expand(*sweep, files);
  if (!expansion) return std::move(expansion).error();
  return std::move(expansion->runs);
}

Result<std::vector<scheduler::PlannedRun>> plan(const Config& config,
                                                const Setup& setup,
                                                const std::vector<Task>& tasks,
                                                Files& files) {
  std::vector<scheduler::PlannedRun> runs;
  if (tasks.empty()) return runs;
  // All at once: a base is read once. Two contributors that are the same run are one in it.
  if (Result<std::vector<scheduler::PlannedRun>> all = expand_tasks(config, setup, tasks, files);
      all && all->size() == tasks.size()) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      for (scheduler::PlannedRun& run : *all)
        if (run.block == fmt::format("c{}", i)) runs.push_back(std::move(run));
    return runs;
  }
  std::vector<Error> problems;
  for (const Task& task : tasks) {
    Result<std::vector<scheduler::PlannedRun>> one = expand_tasks(config, setup, {task}, files);
    if (one)
      runs.push_back(std::move(one->front()));
    else
      problems.push_back(
          std::move(one).error().with_context(fmt::format("contributor {}", task.contributor->id)));
  }
  if (!problems.empty()) return combine(std::move(problems), "contributors cannot be trained");
  return runs;
}

}  // namespace ration::fuse
