#include "store/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/json.h"

namespace ration::store {
namespace {

constexpr double kLeaseSeconds = 60;  // several times the distance of renewals
constexpr double kBusySeconds = 10;
constexpr const char* kLease = "scheduler";

constexpr double kPassingSeconds = 20;  // more than one that is passing takes
constexpr double kBetweenTries = 0.1;   // seconds

// What the holder wrote of itself; null while it is about to.
Json read_holder(int descriptor) {
  std::array<char, 1024> text{};
  const ssize_t got = pread(descriptor, text.data(), text.size() - 1, 0);
  Result<Json> json = parse_json(
      std::string_view(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0), "ration.lock");
  return json && json->is_object() ? std::move(*json) : Json();
}

std::string describe(const Json& holder) {
  if (!holder.is_object()) return "another process";
  return fmt::format(
      "process {} on {}", holder.value("pid", std::int64_t{0}), holder.value("host", "?"));
}

bool is_passing(const Json& holder) {
  return holder.is_object() && holder.value("passing", Json(false)) == Json(true);
}

Error held(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

}  // namespace

StoreLock StoreLock::take(const Path& file, const Holder& self, Clock& clock) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) throw Failure{system_error("open", file, errno)};
  const double patience = clock.monotonic_seconds() + kPassingSeconds;
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      Error error = system_error("lock", file, errno);
      error.hint =
          "choose a store on a file system that can lock files (flock), or ask who runs it to "
          "allow that";
      close(descriptor);
      throw Failure{std::move(error)};
    }
    const Json holder = read_holder(descriptor);
    if (!self.passing && is_passing(holder) && clock.monotonic_seconds() < patience) {
      clock.sleep(kBetweenTries);
      continue;
    }
    Error error =
        held(fmt::format("{} is in use by {}", file.parent_path().string(), describe(holder)),
             "wait until it ends, or use another --store; `ration status` works meanwhile");
    close(descriptor);
    throw Failure{std::move(error)};
  }
  const std::string text = Json{{"host", self.host},
                                {"pid", self.process.pid},
                                {"start", self.process.start},
                                {"boot", self.process.boot},
                                {"token", self.token},
                                {"passing", self.passing},
                                {"since", clock.unix_seconds()}}
                               .dump() +
                           "\n";
  // Only for the message above; the hold itself is the kernel's.
  if (ftruncate(descriptor, 0) == 0 && pwrite(descriptor, text.data(), text.size(), 0) < 0) {
    const int code = errno;
    close(descriptor);
    throw Failure{system_error("write", file, code)};
  }
  return {descriptor, self};
}

StoreLock::StoreLock(StoreLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), self_(std::move(other.self_)) {}

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

void StoreLock::respect_lease(const Database& database, double now, bool take_over) const {
  Statement lease = database.prepare("SELECT host, pid, renewed FROM leases WHERE name = ?");
  if (!lease.bind(kLease).step() || lease.text(0) == self_.host) return;
  const double age = now - lease.real(2);
  const std::string holder = fmt::format("process {} on {}", lease.integer(1), lease.text(0));
  const std::string place = database.file().parent_path().string();
  if (age < kLeaseSeconds)
    throw Failure{held(fmt::format("{} is in use by {}", place, holder),
                       "wait until it ends, or use another --store")};
  if (!take_over)
    throw Failure{
        held(fmt::format("{} was in use by {}, last heard of {:.0f} s ago", place, holder, age),
             "when that process is gone for good, repeat the command with --take-over")};
}

void StoreLock::respect_lease_in(const Path& database, double now, bool take_over) const {
  if (std::error_code code; !std::filesystem::exists(database, code)) return;
  const Result<void> looked = guarded(
      [&] { respect_lease(Database(database, Access::read, kBusySeconds), now, take_over); });
  if (!looked && looked.error().kind == ErrorKind::usage) throw Failure{looked.error()};
}

void StoreLock::take_lease(Database& database, double now, bool take_over) const {
  Transaction transaction(database, true);
  respect_lease(database, now, take_over);
  database.prepare("INSERT OR REPLACE INTO leases VALUES(?,?,?,?,?,?)")
      .bind(kLease, self_.token, self_.host, self_.process.pid, self_.process.start, now)
      .run();
  transaction.commit();
}

void StoreLock::require_lease(const Database& database) const {
  Statement lease = database.prepare("SELECT owner, host, pid FROM leases WHERE name = ?");
  // Without a row the one that took it over has left again.
  const bool there = lease.bind(kLease).step();
  if (there && lease.text(0) == self_.token) return;
  throw Failure{Error{
      .kind = ErrorKind::interrupted,
      .what =
          there ? fmt::format(
                      "process {} on {} has taken over this store", lease.integer(2), lease.text(1))
                : std::string("another process had taken over this store meanwhile"),
      .hint = "nothing more was written from here; the runs go on under the other scheduler"}};
}

void StoreLock::renew_lease(Database& database, double now, bool durable) const {
  Transaction transaction(database, durable);
  require_lease(database);
  database.prepare("UPDATE leases SET renewed = ? WHERE name = ?").bind(now, kLease).run();
  transaction.commit();
}

void StoreLock::give_back(Database& database) const {
  Transaction transaction(database);
  database.prepare("DELETE FROM leases WHERE name = ? AND owner = ?")
      .bind(kLease, self_.token)
      .run();
  transaction.commit();
}

}  // namespace ration::store
