#include "scheduler/slurm/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/json.h"
#include "run/settings_file.h"
#include "scheduler/supervisor.h"

namespace ration::scheduler::slurm {
namespace {

constexpr const char* kTasks = "tasks.jsonl";
constexpr const char* kSettings = "settings";
constexpr const char* kScript = "job.sh";
constexpr const char* kJob = "job";
constexpr const char* kDamaged = ".damaged";

// A line of the table: the attempt, and the bytes of kSettings that are its.
struct Task {
  Launch launch;
  double limit_seconds = 0;
  std::uint64_t settings_at = 0;
  std::uint64_t settings_size = 0;
};

Result<Task> task_of(std::string_view line, const Path& file) {
  const Result<Json> json = parse_json(std::string(line), file.string());
  if (!json) return json.error();
  try {
    return Task{.launch = {.run_folder = json->at("run").get<std::string>(),
                           .number = json->at("attempt"),
                           .token = json->at("token"),
                           .threads = json->at("threads"),
                           .memory_factor = json->value("memory_factor", 1.0),
                           .avoid = json->value("avoid", std::vector<std::string>())},
                .limit_seconds = json->value("limit_s", 0.0),
                .settings_at = json->value("settings_at", std::uint64_t{0}),
                .settings_size = json->value("settings_size", std::uint64_t{0})};
  } catch (const Json::exception& e) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is damaged: {}", file.string(), e.what())};
  }
}

// Line `index`, without its end; nothing where there are fewer.
std::optional<std::string_view> line_of(std::string_view text, std::size_t index) {
  for (;; --index) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    if (index == 0) return text.substr(0, end);
    text.remove_prefix(end + 1);
  }
}

std::int64_t number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() ? number : 0;
}

}  // namespace

bool alike(const Launch& a, const Launch& b) {
  return a.threads == b.threads && a.memory_factor == b.memory_factor && a.avoid == b.avoid;
}

Path batches_of(const Path& store) { return std::filesystem::absolute(store) / "slurm"; }

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string job_script(const Batch& batch, const Programs& programs, const SlurmConfig& config) {
  // `module` is a function that the profile of a login shell defines.
  std::string text = config.modules.empty() ? "#!/bin/sh\n" : "#!/bin/bash -l\n";
  // SLURM runs a job elsewhere when its folder is missing, and calls it completed.
  text += fmt::format("cd {} || exit 1\n", quoted(batch.folder.string()));
  for (const std::string& module : config.modules)
    text += fmt::format("module load {} || exit 1\n", quoted(module));
  for (const std::string& line : config.setup) text += line + "\n";
  text += fmt::format("exec {} slurm-task {} --trainer {}\n",
                      quoted(programs.ration.string()),
                      quoted(batch.folder.string()),
                      quoted(programs.trainer.string()));
  return text;
}

Result<void> write_batch(Files& files,
                         const Batch& batch,
                         const Programs& programs,
                         const SlurmConfig& config) {
  const Path folder = std::filesystem::current_path();
  std::string tasks;
  std::string settings;
  for (const Launch& launch : batch.tasks) {
    // Written by hand, as there may be ten thousand.
    tasks += fmt::format(
        "{{\"run\":{},\"attempt\":{},\"token\":\"{}\",\"threads\":{},\"memory_factor\":{},"
        "\"avoid\":{},\"limit_s\":{},\"settings_at\":{},\"settings_size\":{}}}\n",
        Json((folder / launch.run_folder).string()).dump(),
        launch.number,
        launch.token,
        launch.threads,
        launch.memory_factor,
        launch.avoid.empty() ? "[]" : Json(launch.avoid).dump(),
        batch.limit_seconds,
        settings.size(),
        launch.settings.size());
    settings += launch.settings;
  }
  if (Result<void> done = files.make_folders(batch.folder); !done) return done;
  const std::string script = job_script(batch, programs, config);
  if (Result<void> done = files.write_whole(batch.folder / kScript, script); !done) return done;
  if (Result<void> done = files.write_whole(batch.folder / kSettings, settings); !done) return done;
  return files.write_whole(batch.folder / kTasks, tasks);
}

Result<void> write_job_number(Files& files, const Batch& batch) {
  return files.write_whole(batch.folder / kJob, fmt::format("{}\n", batch.job));
}

Result<Batch> read_batch(Files& files, const Path& folder) {
  Batch batch{.token = folder.filename().string(), .folder = folder};
  Result<std::string> tasks = files.read(folder / kTasks);
  if (!tasks) return std::move(tasks).error();
  for (std::size_t begin = 0; begin < tasks->size();) {
    const std::size_t end = std::min(tasks->find('\n', begin), tasks->size());
    Result<Task> task =
        task_of(std::string_view(*tasks).substr(begin, end - begin), folder / kTasks);
    if (!task) return std::move(task).error();
    batch.limit_seconds = task->limit_seconds;
    batch.tasks.push_back(std::move(task->launch));
    begin = end + 1;
  }
  if (files.exists(folder / kJob)) batch.job = number_in(files.read(folder / kJob).value_or(""));
  return batch;
}

Result<std::vector<Batch>> read_batches(Files& files,
                                        const Path& store,
                                        std::vector<Path>* damaged) {
  std::vector<Batch> batches;
  const Path root = batches_of(store);
  if (!files.exists(root)) return batches;
  Result<std::vector<std::string>> names = files.list(root);
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (name.ends_with(kDamaged) || !files.exists(root / name / kTasks)) continue;
    Result<Batch> batch = read_batch(files, root / name);
    if (!batch && batch.error().kind == ErrorKind::input) {
      if (damaged != nullptr) damaged->push_back(root / name);
      continue;
    }
    if (!batch) return std::move(batch).error();
    batches.push_back(std::move(*batch));
  }
  return batches;
}

Result<void> set_aside(Files& files, const Path& batch) {
  return files.rename(batch, Path(batch.string() + kDamaged));
}

Result<int> carry_out(Files& files, const Path& folder, const Path& trainer) {
  const Batch batch{.token = folder.filename().string(), .folder = folder};
  Result<std::string> table = files.read(folder / kTasks);
  if (!table) return std::move(table).error();
  const char* name = std::getenv("SLURM_JOB_NAME");
  const char* index = std::getenv("SLURM_ARRAY_TASK_ID");
  std::optional<std::string_view> line;
  if (index != nullptr) {
    const std::string_view text = index;
    std::size_t number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code == std::errc() && end == text.data() + text.size()) line = line_of(*table, number);
  }
  if (name == nullptr || name != batch.name() || !line)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("this job ({}, index {}) is none of {}",
                                     name == nullptr ? "no name" : name,
                                     index == nullptr ? "none" : index,
                                     folder.string()),
                 .hint = "only `ration run` submits these jobs"};
  Result<Task> task = task_of(*line, folder / kTasks);
  if (!task) return std::move(task).error();
  const Launch& launch = task->launch;
  if (task->settings_size > 0) {
    Result<std::string> settings =
        files.read_range(folder / kSettings, task->settings_at, task->settings_size);
    if (!settings) return std::move(settings).error();
    if (Result<void> done = run::create_run_folder(files, launch.run_folder, *settings); !done)
      return std::move(done).error();
  }
  const char* node = std::getenv("SLURMD_NODENAME");
  return supervise({.trainer = trainer,
                    .run_folder = launch.run_folder,
                    .number = launch.number,
                    .token = launch.token,
                    .threads = launch.threads,
                    .hand_on_term = false,
                    .host = node == nullptr ? "" : node},
                   files);
}

}  // namespace ration::scheduler::slurm
