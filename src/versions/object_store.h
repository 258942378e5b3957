#pragma once

// The objects of a repository: files named by the SHA-256 of the bytes that they hold,
// <folder>/objects/ab/cdef…. A file appears whole and durable, and is never changed; a repack may
// put another encoding of the same bytes in its place. Several processes may add at once.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/files.h"
#include "versions/object_reader.h"

namespace ration::versions {

// Bytes to be stored, with the id that they have.
struct Content {
  ObjectId id;
  std::span<const std::byte> bytes;
  Layout layout;
  // Objects that may resemble it, the likeliest first; the first that saves a tenth is taken.
  std::vector<ObjectId> relatives;
  // Lets go of the memory of bytes [begin, end), which are read again when touched; may be empty.
  std::function<void(std::uint64_t begin, std::uint64_t end)> release = {};
};

struct Stored {
  std::uint64_t bytes = 0;  // of the new file; 0 where the object was there
};

struct StoreLimits {
  // Reading an object reads its parents: not more than these many, as git's own default.
  int depth = 50;
  // And not more bytes of them than this many times the object's own, so that old versions, too,
  // are read within a few times the duration of a copy.
  double chain = 6;
};

class ObjectStore {
 public:
  ObjectStore(Files& files, Path folder) : files_(&files), folder_(std::move(folder)) {}

  Files& files() const { return *files_; }
  const Path& folder() const { return folder_; }
  Path path_of(const ObjectId& id) const;
  bool contains(const ObjectId& id) const { return files_->exists(path_of(id)); }

  // ErrorKind::input for an object that is missing, or whose parent is, and for damaged files.
  Result<ObjectReader> open(const ObjectId& id) const;

  // Stores it unless it is there, as a delta on the first relative for which that
  // saves a tenth, on `threads` threads (0 = all). A relative that cannot be read is left out.
  // Memory: a few blocks a thread. Same bytes and relatives, same file, for any number of threads.
  Result<Stored> add(const Content& content, int threads, const StoreLimits& limits = {}) const;

  // Whether the object and its parents are there and their checksums right; then they count as used
  // just now, so that no collection takes them before git knows who needs them. Reads their files.
  bool use(const ObjectId& id) const;

  // As add(), in place of the file that is there. For repacking, under its lock.
  Result<Stored> replace(const Content& content, int threads, const StoreLimits& limits) const;

  // All ids, sorted. Reads the folders' names alone.
  Result<std::vector<ObjectId>> list() const;

 private:
  Files* files_;
  Path folder_;
};

}  // namespace ration::versions
