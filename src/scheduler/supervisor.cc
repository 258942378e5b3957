#include "scheduler/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "run/exit_codes.h"
#include "run/folder.h"
#include "scheduler/attempt_time.h"
#include "scheduler/memory_limit.h"

namespace ration::scheduler {
namespace {

constexpr const char* kSchema = "ration.supervisor/1";
constexpr const char* kNote = "supervisor.json";
constexpr const char* kWorker = "worker.json";
constexpr const char* kBuried = "buried";
constexpr int kCannotExecute = 127;  // as shells say it

Json to_json(const ProcessId& process) {
  return {{"boot", process.boot}, {"pid", process.pid}, {"start", process.start}};
}

ProcessId process_from_json(const Json& json) {
  return {.boot = json.value("boot", ""),
          .pid = json.value("pid", std::int64_t{0}),
          .start = json.value("start", std::int64_t{0})};
}

Result<void> write_note(Files& files, const Path& folder, const SupervisorNote& note) {
  const Json json = {{"schema", kSchema},
                     {"token", note.token},
                     {"host", note.host},
                     {"started", note.started},
                     {"supervisor", to_json(note.supervisor)},
                     {"gpus", note.gpus},
                     {"trainer", note.trainer},
                     {"device", note.device},
                     {"inode", note.inode}};
  return files.write_whole(folder / kNote, json.dump() + "\n");
}

// The environment with the settings that keep small workers from disturbing each other: spinning
// barriers alone cost a shared machine most of its time.
std::vector<std::string> worker_environment(const SuperviseOptions& options) {
  const std::string count = std::to_string(options.threads);
  std::vector<std::string> ours = {
      "GOMP_SPINCOUNT=0", "OMP_NUM_THREADS=" + count, "MKL_NUM_THREADS=" + count};
  if (!options.gpus.empty()) ours.push_back("CUDA_VISIBLE_DEVICES=" + options.gpus);
  std::vector<std::string> all = ours;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& own : ours) replaced = replaced || own.starts_with(name);
    if (!replaced) all.emplace_back(text);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Makes standard output and error of this process, and so of the worker, the attempt's log.
Result<void> redirect_to_log(const Path& log) {
  const int descriptor = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) return system_error("open", log, errno);
  dup2(descriptor, STDOUT_FILENO);
  dup2(descriptor, STDERR_FILENO);
  close(descriptor);
  return {};
}

sigset_t supervised_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGUSR1, SIGCHLD, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// The worker's process number, or the negative errno.
pid_t spawn_worker(const SuperviseOptions& options) {
  std::vector<std::string> words = {options.trainer.string(),
                                    options.run_folder.string(),
                                    "--attempt",
                                    std::to_string(options.number),
                                    "--token",
                                    options.token};
  std::vector<std::string> variables = worker_environment(options);
  const std::vector<char*> argv = pointers_to(words);
  const std::vector<char*> envp = pointers_to(variables);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t worker = 0;
  const int code = posix_spawn(&worker, argv[0], nullptr, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  return code == 0 ? worker : -code;
}

// Waits for the worker, handing on requests to stop. Ctrl-C and a closed terminal are the
// scheduler's business. One that such a request ended before it could listen has nothing to save,
// and has left as it was asked to.
int wait_for(pid_t worker, const sigset_t& signals, bool hand_on_term) {
  std::array<bool, NSIG> handed_on{};
  for (;;) {
    int status = 0;
    if (waitpid(worker, &status, WNOHANG) == worker) {
      if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
      const int by = WTERMSIG(status);
      return handed_on[static_cast<std::size_t>(by)] ? static_cast<int>(run::WorkerExit::preempted)
                                                     : 128 + by;
    }
    siginfo_t info{};
    const int number = sigwaitinfo(&signals, &info);
    if ((number != SIGTERM || !hand_on_term) && number != SIGUSR1) continue;
    kill(worker, number);
    handed_on[static_cast<std::size_t>(number)] = true;
  }
}

}  // namespace

Result<int> supervise(const SuperviseOptions& options, Files& files) {
  const sigset_t signals = supervised_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  run::RunFolder folder(files, options.run_folder);
  const Path attempt = folder.attempt_path(options.number);

  fault_point("supervisor-before-claim");
  Result<bool> claimed = files.make_folder_exclusively(attempt);
  if (!claimed) return std::move(claimed).error();
  if (!*claimed) return static_cast<int>(run::WorkerExit::fenced);
  fault_point("supervisor-after-claim");
  if (Result<void> done = redirect_to_log(folder.log_path(options.number)); !done)
    return std::move(done).error();
  Result<bool> fenced = folder.fenced(options.number);
  if (!fenced) return std::move(fenced).error();
  if (*fenced) return static_cast<int>(run::WorkerExit::fenced);

  SupervisorNote note;
  note.token = options.token;
  note.host = options.host.empty() ? host_name() : options.host;
  note.started = system_clock().unix_seconds();
  const double started = system_clock().monotonic_seconds();
  note.supervisor = this_process();
  note.trainer = options.trainer.string();
  if (struct stat info{}; stat(attempt.c_str(), &info) == 0) {
    note.device = info.st_dev;
    note.inode = info.st_ino;
  }
  for (std::size_t begin = 0; begin < options.gpus.size();) {
    const std::size_t end = std::min(options.gpus.find(',', begin), options.gpus.size());
    note.gpus.push_back(options.gpus.substr(begin, end - begin));
    begin = end + 1;
  }
  if (Result<void> done = write_note(files, attempt, note); !done) return std::move(done).error();
  const std::int64_t ended_before = ended_for_memory();
  const pid_t worker = spawn_worker(options);
  fault_point("supervisor-after-spawn");
  int status = kCannotExecute;
  if (worker > 0) {
    // In a file of its own: replacing one costs much more than another one does. Where this fails
    // the worker is still found by the token on its command line.
    const Json json = to_json(identify(worker).value_or(ProcessId{}));
    const Result<void> ignored = files.write_whole(attempt / kWorker, json.dump() + "\n");
    (void)ignored;
    status = wait_for(worker, signals, options.hand_on_term);
    // The words are those that class_in_words() knows.
    if (status == 128 + SIGKILL && ended_for_memory() > ended_before)
      fmt::print(stderr, "the system ended the worker for want of memory (oom_kill)\n");
  } else {
    fmt::print(stderr, "cannot execute {}: {}\n", options.trainer.string(), std::strerror(-worker));
  }
  fault_point("supervisor-before-exit");
  // Before `exit`: whoever sees that finds this. Without it wall clocks have to do.
  const double seconds = system_clock().monotonic_seconds() - started;
  const Result<void> timed =
      write_attempt_time(files, attempt, {.started = note.started, .seconds = seconds});
  (void)timed;
  // On a full disk the scheduler still learns the status from this process's own.
  if (Result<void> done = folder.write_exit_status(options.number, status); !done)
    fmt::print(stderr, "{}", done.error().describe());
  return status;
}

std::optional<SupervisorNote> read_supervisor_note(Files& files, const Path& attempt_folder) {
  const Path file = attempt_folder / kNote;
  if (!files.exists(file)) return std::nullopt;
  const Result<std::string> text = files.read(file);
  if (!text) return std::nullopt;
  const Result<Json> json = parse_json(*text, file.string());
  if (!json || !json->is_object() || json->value("schema", Json()) != kSchema) return std::nullopt;
  const Path worker_file = attempt_folder / kWorker;
  const Result<Json> worker =
      files.exists(worker_file)
          ? parse_json(files.read(worker_file).value_or(""), worker_file.string())
          : Result<Json>(json->value("worker", Json::object()));  // as older versions wrote it
  try {
    return SupervisorNote{
        .token = json->at("token"),
        .host = json->at("host"),
        .started = json->at("started"),
        .supervisor = process_from_json(json->at("supervisor")),
        .worker = worker && worker->is_object() ? process_from_json(*worker) : ProcessId{},
        .gpus = json->value("gpus", std::vector<std::string>()),
        .trainer = json->value("trainer", ""),
        .device = json->value("device", std::uint64_t{0}),
        .inode = json->value("inode", std::uint64_t{0})};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

bool noted_in(const SupervisorNote& note, const Path& attempt_folder) {
  struct stat info {};
  if (note.inode == 0 || stat(attempt_folder.c_str(), &info) != 0) return true;
  return info.st_dev == note.device && info.st_ino == note.inode;
}

Result<bool> bury_attempt(Files& files, const Path& attempt_folder) {
  if (Result<void> made = files.make_folders(attempt_folder.parent_path()); !made)
    return std::move(made).error();
  Result<bool> claimed = files.make_folder_exclusively(attempt_folder);
  if (!claimed || !*claimed) return claimed;
  if (Result<void> done = files.write_whole(attempt_folder / kBuried, ""); !done)
    return std::move(done).error();
  return true;
}

bool buried(Files& files, const Path& attempt_folder) {
  return files.exists(attempt_folder / kBuried);
}

}  // namespace ration::scheduler
