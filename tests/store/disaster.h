#pragma once

// A chosen misfortune at a chosen operation on files, for SQLite and for the house's own layer
// alike. Operations that count: creating, writing, cutting, syncing, renaming and removing a file.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"

namespace ration::store {

enum class Misfortune {
  none,
  kill,           // the process ends before the operation
  torn,           // half of what is written arrives, then the process ends
  drop,           // power loss: what was not synced is gone, names whose folder was not synced too
  fails,          // this operation fails with the chosen error, later ones do not
  keeps_failing,  // later ones, too; for want of room (ENOSPC, EDQUOT) those that need some
  stall,          // the operation takes as long as `while_stalled` lets pass, then it is done
};

class Disaster {
 public:
  static constexpr int kExit = 77;  // of a process that a misfortune ended

  // `at` counts from 1; `error` is an errno.
  void arm(Misfortune kind, int at, int error = 0) {
    kind_ = kind;
    at_ = at;
    error_ = error;
    count_ = 0;
    files_.clear();
    removed_.clear();
  }
  int count() const { return count_; }  // operations so far

  // As on file systems where processes cannot share memory: SQLite promises a write-ahead log, and
  // the first write fails.
  bool no_shared_memory = false;

  // What the rest of the world does while an operation stalls; its own operations do not count.
  std::function<void()> while_stalled;

  enum class Verdict { go_on, half, error };
  // Called before each operation; does not return where the process ends at once.
  Verdict before(bool needs_room);
  [[noreturn]] void end();              // after the half of a torn write
  int error() const { return error_; }  // errno of Verdict::error

  // What power loss would undo.
  void created(const Path& path) { files_[path.string()].name_durable = false; }
  void overwrites(const Path& path, std::uint64_t offset, std::uint64_t size);
  void cuts(const Path& path, std::uint64_t size);
  void synced(const Path& path) { files_[path.string()].undo.clear(); }
  void name_synced(const Path& path) { files_[path.string()].name_durable = true; }
  void folder_synced(const Path& folder);
  void removes(const Path& path);
  void renamed(const Path& from, const Path& to);

 private:
  struct Undo {
    std::uint64_t offset = 0;
    std::string bytes;       // that stood there
    std::uint64_t size = 0;  // of the file
  };
  struct File {
    bool name_durable = true;
    std::vector<Undo> undo;
  };
  void lose_power();

  Misfortune kind_ = Misfortune::none;
  int at_ = 0;
  int error_ = 0;
  int count_ = 0;
  std::map<std::string, File> files_;
  std::map<std::string, std::string> removed_;  // contents of files whose removal is not durable
};

// Real files under a disaster.
std::unique_ptr<Files> files_under(Disaster& disaster);

// Makes SQLite's files of this process stand under a disaster; syncs are counted, not carried out.
void put_sqlite_under(Disaster& disaster);

}  // namespace ration::store
