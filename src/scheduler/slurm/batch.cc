#include "scheduler/slurm/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/json.h"
#include "scheduler/supervisor.h"

namespace ration::scheduler::slurm {
namespace {

constexpr const char* kTasks = "tasks.jsonl";
constexpr const char* kScript = "job.sh";
constexpr const char* kJob = "job";

Result<Launch> launch_of(const std::string& line, const Path& file) {
  const Result<Json> json = parse_json(line, file.string());
  if (!json) return json.error();
  try {
    return Launch{.run_folder = json->at("run").get<std::string>(),
                  .number = json->at("attempt"),
                  .token = json->at("token"),
                  .threads = json->at("threads"),
                  .memory_factor = json->value("memory_factor", 1.0),
                  .avoid = json->value("avoid", std::vector<std::string>())};
  } catch (const Json::exception& e) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is damaged: {}", file.string(), e.what())};
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
  std::string tasks;
  for (const Launch& launch : batch.tasks)
    tasks += Json{{"run", std::filesystem::absolute(launch.run_folder).string()},
                  {"attempt", launch.number},
                  {"token", launch.token},
                  {"threads", launch.threads},
                  {"memory_factor", launch.memory_factor},
                  {"avoid", launch.avoid}}
                 .dump() +
             "\n";
  if (Result<void> done = files.make_folders(batch.folder); !done) return done;
  const std::string script = job_script(batch, programs, config);
  if (Result<void> done = files.write_whole(batch.folder / kScript, script); !done) return done;
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
    Result<Launch> launch = launch_of(tasks->substr(begin, end - begin), folder / kTasks);
    if (!launch) return std::move(launch).error();
    batch.tasks.push_back(std::move(*launch));
    begin = end + 1;
  }
  if (files.exists(folder / kJob)) batch.job = number_in(files.read(folder / kJob).value_or(""));
  return batch;
}

Result<std::vector<Batch>> read_batches(Files& files, const Path& store) {
  std::vector<Batch> batches;
  const Path root = batches_of(store);
  if (!files.exists(root)) return batches;
  Result<std::vector<std::string>> names = files.list(root);
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    if (!files.exists(root / name / kTasks)) continue;
    Result<Batch> batch = read_batch(files, root / name);
    if (!batch) return std::move(batch).error();
    batches.push_back(std::move(*batch));
  }
  return batches;
}

Result<int> carry_out(Files& files, const Path& folder, const Path& trainer) {
  Result<Batch> batch = read_batch(files, folder);
  if (!batch) return std::move(batch).error();
  const char* name = std::getenv("SLURM_JOB_NAME");
  const char* index = std::getenv("SLURM_ARRAY_TASK_ID");
  std::size_t task = batch->tasks.size();
  if (index != nullptr) {
    const std::string_view text = index;
    std::from_chars(text.data(), text.data() + text.size(), task);
  }
  if (name == nullptr || name != batch->name() || task >= batch->tasks.size())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("this job ({}, index {}) is none of {}",
                                     name == nullptr ? "no name" : name,
                                     index == nullptr ? "none" : index,
                                     folder.string()),
                 .hint = "only `ration run` submits these jobs"};
  const Launch& launch = batch->tasks[task];
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
