// From a sweep file to what a fusion needs, and run_fusion() itself.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "eval/points.h"
#include "fuse/driver.h"
#include "fuse/folder.h"
#include "fuse/rounds.h"
#include "run/folder.h"
#include "run/weights.h"
#include "scheduler/slurm/config.h"
#include "store/store.h"

namespace ration::fuse {
namespace {

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Settings that say which function the weights are.
Json model_settings(const run::RunSpec& spec) {
  Json settings = eval::evaluation_settings(spec);
  settings.erase("seed");
  return settings;
}

Result<void> begin_with_run(
    const Path& store, const std::string& id, std::int64_t step, Files& files, Setup& setup) {
  const run::RunFolder folder(files, store::Layout{store}.run(id));
  Result<run::RunFile> file = folder.read_spec();
  if (!file) return std::move(file).error();
  setup.model = model_settings(file->spec);
  setup.data = file->execution.data;
  if (step == 0) {
    Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
    if (!checkpoint) return std::move(checkpoint).error();
    if (*checkpoint) setup.base = folder.path() / **checkpoint / "model.safetensors";
  } else {
    Result<std::vector<int>> attempts = folder.attempts();
    if (!attempts) return std::move(attempts).error();
    for (const int attempt : *attempts)
      if (const Path path = folder.attempt_path(attempt) / fmt::format("checkpoint-{}", step) /
                            "model.safetensors";
          files.exists(path))
        setup.base = path;
  }
  if (!setup.base.empty()) return {};
  return usage(fmt::format("run {} has no checkpoint to begin with", id.substr(0, 12)),
               "the base of a fusion must be trained before");
}

Result<void> begin_with_block(const Path& store,
                              const std::string& block,
                              const scheduler::Sweep& sweep,
                              const scheduler::ExpandOptions& options,
                              std::int64_t replica,
                              Files& files,
                              Setup& setup) {
  if (!sweep.has_runs)
    return usage(fmt::format("[fuse] base = \"block:{}\", but {} has no runs", block, sweep.file),
                 "add a [[block]] of that name, or base = \"run:ID\" or \"file:PATH\"");
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, files, options);
  if (!expansion) return std::move(expansion).error();
  std::vector<const scheduler::PlannedRun*> found;
  for (const scheduler::PlannedRun& run : expansion->runs)
    if (run.block == block && run.replica == replica) found.push_back(&run);
  if (found.size() != 1)
    return usage(fmt::format("[fuse] base = \"block:{}\" names {} of replica {} of {}",
                             block,
                             found.empty() ? "no run" : "several runs",
                             replica,
                             sweep.file),
                 "the base is one run of a [[block]] with that name");
  return begin_with_run(store, found.front()->id, 0, files, setup);
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

// One fusion at a time works on a folder; the lock ends with the process.
class Lock {
 public:
  static Result<Lock> take(const Path& folder) {
    const Path file = folder / "lock";
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return system_error("open", file, errno);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Lock(descriptor);
    const int reason = errno;
    ::close(descriptor);
    if (reason != EWOULDBLOCK) return system_error("lock", file, reason);
    return usage(fmt::format("another process carries out {}", folder.string()),
                 "wait for it, or stop it; the same command then goes on");
  }
  Lock(Lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit Lock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

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
  std::vector<Task> tasks = first_tasks(config, setup);
  Result<std::vector<scheduler::PlannedRun>> runs = plan(config, setup, tasks, files);
  if (!runs) return std::move(runs).error();
  if (!runs->empty()) return runs->front();
  if (config.probe.empty()) return scheduler::PlannedRun();
  Contributor nobody;
  nobody.id = "probe";
  nobody.data = config.probe.front();
  nobody.settings = {{"tokens", 1'000'000}};
  Task task;
  task.contributor = &nobody;
  if (!setup.base.empty())
    task.base_file = std::filesystem::absolute(setup.base).lexically_normal();
  runs = plan(config, setup, {task}, files);
  if (!runs) return std::move(runs).error();
  return runs->front();
}

// The settings of the block's runs, which need not be trained.
Result<void> expect_block(const std::string& block,
                          const scheduler::Sweep& sweep,
                          const scheduler::ExpandOptions& options,
                          Files& files,
                          Setup& setup) {
  Result<scheduler::Expansion> expansion = scheduler::expand(sweep, files, options);
  if (!expansion) return std::move(expansion).error();
  for (const scheduler::PlannedRun& run : expansion->runs) {
    if (run.block != block) continue;
    setup.model = model_settings(run.spec);
    setup.data = run.execution.data;
    return {};
  }
  return usage(fmt::format("[fuse] base = \"block:{}\" names no block of {}", block, sweep.file),
               "add a [[block]] with that name");
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
  Result<void> found;
  if (config.base.starts_with("block:")) {
    found = begin_with_block(
        setup.store, config.base.substr(6), sweep, options.expand, replica, files, setup);
  } else if (config.base.starts_with("run:")) {
    Result<run::Weights> weights = run::parse_weights(config.base);
    if (!weights) return std::move(weights).error();
    found = begin_with_run(setup.store, weights->run, weights->step, files, setup);
  } else if (config.base.starts_with("file:")) {
    setup.base = setup.folder / config.base.substr(5);
    if (files.exists(setup.base / "model.safetensors")) setup.base /= "model.safetensors";
    if (!files.exists(setup.base))
      found = usage(fmt::format("there is no {}", setup.base.string()),
                    "[fuse] base = \"file:PATH\" names a safetensors file");
  } else {
    found = usage(fmt::format("[fuse] base = \"{}\" names no weights", config.base),
                  "base = \"block:NAME\", \"run:ID\" or \"file:PATH\"");
  }
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
