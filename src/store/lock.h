#pragma once

// The scheduler's exclusive hold on a store folder; private to the room. flock() keeps out others
// on this host and ends with the process, however it ends, so there is never a lock to clear by
// hand. A lease row keeps out other hosts that share the folder.

#include <string>

#include "base/clock.h"
#include "base/files.h"
#include "base/process.h"
#include "store/database.h"

namespace ration::store {

struct Holder {
  std::string host;
  ProcessId process;
  std::string token;     // 32 hex digits, new for each hold
  bool passing = false;  // it only brings the store up to date, and leaves within seconds
};

class StoreLock {
 public:
  // Fails with ErrorKind::usage, naming the holder, when another process has the store. A holder
  // that is only passing is waited for, unless one is passing oneself.
  static StoreLock take(const Path& file, const Holder& self, Clock& clock);
  StoreLock(StoreLock&& other) noexcept;
  StoreLock& operator=(StoreLock&&) = delete;
  ~StoreLock();

  const Holder& self() const { return self_; }

  // Writes our lease. Another host's lease that was renewed in the last 60 s is respected; an older
  // one needs `take_over`.
  void take_lease(Database& database, double now, bool take_over) const;
  // Fails like take_lease() where that would, and writes nothing. A database that is missing or
  // cannot be read is nobody's.
  void respect_lease_in(const Path& database, double now, bool take_over) const;
  // Inside a transaction: fails with ErrorKind::interrupted when the lease went to another.
  void require_lease(const Database& database) const;
  void renew_lease(Database& database, double now, bool durable = false) const;
  void give_back(Database& database) const;

 private:
  void respect_lease(const Database& database, double now, bool take_over) const;
  StoreLock(int descriptor, Holder self) : descriptor_(descriptor), self_(std::move(self)) {}
  int descriptor_;
  Holder self_;
};

}  // namespace ration::store
