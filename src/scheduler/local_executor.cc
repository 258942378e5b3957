#include "scheduler/local_executor.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "scheduler/session.h"
#include "scheduler/supervisor.h"

namespace ration::scheduler {
namespace {

constexpr double kPollWithoutPidfd = 0.1;  // seconds
constexpr double kClaimPatience = 2;       // seconds for a supervisor to write its note

bool executable(const Path& path) {
  std::error_code code;
  return std::filesystem::is_regular_file(path, code) && access(path.c_str(), X_OK) == 0;
}

std::optional<Path> on_search_path(const std::string& name) {
  const char* search = std::getenv("PATH");
  std::string_view rest = search == nullptr ? "" : search;
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const Path candidate = Path(rest.substr(0, colon)) / name;
    if (executable(candidate)) return std::filesystem::absolute(candidate);
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return std::nullopt;
}

}  // namespace

Path this_program() {
  std::error_code code;
  return std::filesystem::read_symlink("/proc/self/exe", code);
}

Result<Path> find_trainer(const std::string& given) {
  const char* variable = std::getenv("RATION_TRAINER_PROGRAM");
  const std::string named = !given.empty() ? given : variable == nullptr ? "" : variable;
  if (!named.empty()) {
    if (executable(named)) return std::filesystem::absolute(named);
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("the trainer {} cannot be executed", named),
                 .hint = "check --trainer and RATION_TRAINER_PROGRAM"};
  }
  const Path beside = this_program().parent_path() / "ration-train";
  if (executable(beside)) return beside;
  if (const std::optional<Path> found = on_search_path("ration-train")) return *found;
  return Error{
      .kind = ErrorKind::resource,
      .what = fmt::format("the trainer ration-train is missing: it is neither in {} nor on "
                          "PATH",
                          beside.parent_path().string()),
      .hint =
          "build it (cmake -DRATION_TRAINER=ON, needs LibTorch), or name one with "
          "--trainer PATH"};
}

LocalExecutor::LocalExecutor(Files& files, LocalOptions options)
    : files_(&files), options_(std::move(options)), pool_(options_.ration) {}

LocalExecutor::~LocalExecutor() {
  for (const auto& [attempt, followed] : followed_) close_pidfd(followed);
}

void LocalExecutor::close_pidfd(const Followed& followed) {
  if (followed.by != By::pool && followed.descriptor >= 0) close(followed.descriptor);
}

Result<Placement> LocalExecutor::start(const Launch& launch) {
  Result<SupervisorPool::Started> started =
      pool_.start({.trainer = options_.trainer,
                   .run_folder = launch.run_folder,
                   .number = launch.number,
                   .token = launch.token,
                   .threads = launch.threads,
                   .gpus = fmt::format("{}", fmt::join(launch.gpus, ","))});
  if (!started) return std::move(started).error();
  followed_[launch.attempt] = {.launch = launch,
                               .process = started->process,
                               .descriptor = started->descriptor,
                               .by = By::pool};
  return Placement{.host = host_name(), .process = std::move(started->process)};
}

void LocalExecutor::follow(const Launch& launch, const ProcessId& process, By by) {
  Followed& followed = followed_[launch.attempt];
  close_pidfd(followed);
  followed = {
      .launch = launch,
      .process = process,
      .descriptor = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(process.pid), 0)),
      .by = by};
}

std::optional<Sighting> LocalExecutor::sight_living(const Launch& launch,
                                                    const Placement& recorded) {
  const run::RunFolder folder(*files_, launch.run_folder);
  // A supervisor may carry out another attempt by now.
  if (files_->exists(folder.exit_path(launch.number))) return std::nullopt;
  std::vector<std::pair<ProcessId, By>> candidates;
  const auto note = read_supervisor_note(*files_, folder.attempt_path(launch.number));
  if (note && !noted_in(*note, folder.attempt_path(launch.number))) return std::nullopt;
  if (note && note->token == launch.token) {
    candidates.emplace_back(note->supervisor, By::supervisor);
    candidates.emplace_back(note->worker, By::worker);
  }
  candidates.emplace_back(recorded.process, By::supervisor);
  for (const auto& [process, by] : candidates) {
    if (process.pid == 0) continue;
    follow(launch, process, by);  // first, so that the number cannot change hands between
    if (alive(process))
      return Sighting{.kind = Sighting::Kind::alive,
                      .placement = {.host = host_name(), .process = process}};
  }
  std::vector<ProcessId> found =
      find_processes([&](std::string_view word) { return word == launch.token; });
  if (found.empty())
    found = workers_in_session(note ? note->supervisor : recorded.process, launch.token);
  if (found.empty()) return std::nullopt;
  // The worker is older than the processes that it started.
  const auto eldest =
      std::min_element(found.begin(), found.end(), [](const ProcessId& a, const ProcessId& b) {
        return std::pair(a.start, a.pid) < std::pair(b.start, b.pid);
      });
  follow(launch, *eldest, By::worker);
  return Sighting{.kind = Sighting::Kind::alive,
                  .placement = {.host = host_name(), .process = *eldest}};
}

Result<Sighting> LocalExecutor::find(const Launch& launch, const Placement& recorded) {
  const Path attempt = run::RunFolder(*files_, launch.run_folder).attempt_path(launch.number);
  for (const double deadline = system_clock().monotonic_seconds() + kClaimPatience;;) {
    if (std::optional<Sighting> living = sight_living(launch, recorded)) return *living;
    close_pidfd(followed_[launch.attempt]);
    followed_.erase(launch.attempt);
    if (read_supervisor_note(*files_, attempt)) return Sighting{.kind = Sighting::Kind::ended};
    if (buried(*files_, attempt)) return Sighting{.kind = Sighting::Kind::absent};
    // A supervisor that has not yet begun finds the folder taken and leaves.
    Result<bool> taken =
        files_->exists(launch.run_folder) ? bury_attempt(*files_, attempt) : Result<bool>(true);
    if (!taken) return std::move(taken).error();
    // Claimed, but without a note: its supervisor is about to write one, or was killed before.
    const bool hopeless = system_clock().monotonic_seconds() > deadline;
    if (*taken || hopeless) return Sighting{.kind = Sighting::Kind::absent};
    system_clock().sleep(0.05);
  }
}

std::vector<std::int64_t> LocalExecutor::gone(double seconds, int wake) const {
  std::vector<pollfd> watched;
  std::vector<std::int64_t> whose;
  bool blind = false;
  for (const auto& [attempt, followed] : followed_) {
    blind = blind || followed.descriptor < 0;
    if (followed.descriptor < 0) continue;
    watched.push_back({.fd = followed.descriptor, .events = POLLIN});
    whose.push_back(attempt);
  }
  if (wake >= 0) watched.push_back({.fd = wake, .events = POLLIN});
  if (blind) seconds = std::min(seconds, kPollWithoutPidfd);
  const int milliseconds = static_cast<int>(std::max(0.0, seconds) * 1000 + 0.5);
  poll(watched.data(), watched.size(), milliseconds);
  std::vector<std::int64_t> over;
  for (std::size_t i = 0; i < whose.size(); ++i)
    if (watched[i].revents != 0) over.push_back(whose[i]);
  for (const auto& [attempt, followed] : followed_)
    if (followed.descriptor < 0 && !alive(followed.process)) over.push_back(attempt);
  return over;
}

bool LocalExecutor::reap(const Followed& followed) {
  if (followed.by == By::worker) return true;
  run::RunFolder folder(*files_, followed.launch.run_folder);
  const int number = followed.launch.number;
  const std::optional<int> told =
      followed.by == By::pool ? pool_.ended(followed.descriptor) : std::nullopt;
  if (files_->exists(folder.exit_path(number))) return true;
  if (!told)  // killed; its worker may live on
    return !sight_living(followed.launch, {.host = {}, .process = followed.process});
  // The supervisor could not write the file, for want of space; we may have more luck. Or the
  // attempt was not its to begin.
  const auto note = read_supervisor_note(*files_, folder.attempt_path(number));
  if (note && note->token == followed.launch.token) {
    const Result<void> ignored = folder.write_exit_status(number, *told);
    (void)ignored;
  }
  return true;
}

Result<std::vector<std::int64_t>> LocalExecutor::wait(double seconds, int wake) {
  std::vector<std::int64_t> ended;
  for (const std::int64_t attempt : gone(seconds, wake)) {
    const Followed followed = followed_[attempt];  // reap() may follow another process instead
    if (!reap(followed)) continue;
    close_pidfd(followed_[attempt]);
    followed_.erase(attempt);
    ended.push_back(attempt);
  }
  return ended;
}

std::vector<std::int64_t> LocalExecutor::begun() const {
  std::vector<std::int64_t> attempts;
  for (const auto& [attempt, followed] : followed_) attempts.push_back(attempt);
  return attempts;
}

void LocalExecutor::stop(std::int64_t attempt, bool force) {
  const auto found = followed_.find(attempt);
  if (found == followed_.end()) return;
  const Followed& followed = found->second;
  if (followed.by == By::pool) pool_.use_no_more(followed.descriptor);
  if (!force || followed.by == By::worker) {
    send_signal(followed.process, force ? SIGKILL : SIGTERM);
    return;
  }
  // The supervisor stays to write how the worker ended.
  const run::RunFolder folder(*files_, followed.launch.run_folder);
  const auto note = read_supervisor_note(*files_, folder.attempt_path(followed.launch.number));
  if (note && note->worker.pid != 0)
    send_signal(note->worker, SIGKILL);
  else
    send_signal(followed.process, SIGTERM);
}

}  // namespace ration::scheduler
