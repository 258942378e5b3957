// SQLite's files under a disaster: a thin layer over its own, which it calls a VFS.

#include <sqlite3.h>

#include <cerrno>

#include "disaster.h"

namespace ration::store {
namespace {

sqlite3_vfs* real = nullptr;
Disaster* disaster = nullptr;

// What SQLite takes for a file; the real one lies behind it.
struct File {
  sqlite3_file base;
  sqlite3_file* real;
  const char* path;  // owned by SQLite while the file is open; null for a temporary one
  bool log;          // journal or write-ahead log: its folder is synced with its first sync
};

File& ours(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
const sqlite3_io_methods& methods(sqlite3_file* file) { return *ours(file).real->pMethods; }

// The error code of the misfortune, or SQLITE_OK; `half` is called before the process ends. As
// SQLite's own layer has it: it repeats what a signal interrupts, but not a sync, and only a full
// disk has a code of its own.
template <class Half>
int trouble(bool needs_room, int io_error, Half half) {
  switch (disaster->before(needs_room)) {
    case Disaster::Verdict::go_on:
      return SQLITE_OK;
    case Disaster::Verdict::half:
      half();
      disaster->end();
    case Disaster::Verdict::error:
      break;
  }
  if (disaster->error() == EINTR && io_error != SQLITE_IOERR_FSYNC) return SQLITE_OK;
  return disaster->error() == ENOSPC ? SQLITE_FULL : io_error;
}
int trouble(bool needs_room, int io_error) {
  return trouble(needs_room, io_error, [] {});
}

int close_file(sqlite3_file* file) { return methods(file).xClose(ours(file).real); }
int read_file(sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
  return methods(file).xRead(ours(file).real, bytes, size, offset);
}
int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  File& f = ours(file);
  if (f.path == nullptr) return methods(file).xWrite(f.real, bytes, size, offset);
  const auto half = [&] { methods(file).xWrite(f.real, bytes, size / 2, offset); };
  if (const int code = trouble(true, SQLITE_IOERR_WRITE, half); code != SQLITE_OK) return code;
  disaster->overwrites(
      f.path, static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(size));
  return methods(file).xWrite(f.real, bytes, size, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  File& f = ours(file);
  if (f.path == nullptr) return methods(file).xTruncate(f.real, size);
  if (const int code = trouble(false, SQLITE_IOERR_TRUNCATE); code != SQLITE_OK) return code;
  disaster->cuts(f.path, static_cast<std::uint64_t>(size));
  return methods(file).xTruncate(f.real, size);
}
int sync_file(sqlite3_file* file, int) {
  File& f = ours(file);
  if (f.path == nullptr) return SQLITE_OK;
  if (const int code = trouble(true, SQLITE_IOERR_FSYNC); code != SQLITE_OK) return code;
  disaster->synced(f.path);
  if (f.log) disaster->name_synced(f.path);
  return SQLITE_OK;
}
int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  return methods(file).xFileSize(ours(file).real, size);
}
int lock_file(sqlite3_file* file, int level) { return methods(file).xLock(ours(file).real, level); }
int unlock_file(sqlite3_file* file, int level) {
  return methods(file).xUnlock(ours(file).real, level);
}
int check_lock(sqlite3_file* file, int* held) {
  return methods(file).xCheckReservedLock(ours(file).real, held);
}
int control_file(sqlite3_file* file, int what, void* argument) {
  return methods(file).xFileControl(ours(file).real, what, argument);
}
int sector_size(sqlite3_file* file) { return methods(file).xSectorSize(ours(file).real); }
int characteristics(sqlite3_file* file) {
  return methods(file).xDeviceCharacteristics(ours(file).real);
}
int map_shared(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
  if (disaster->no_shared_memory) return SQLITE_IOERR_SHMMAP;
  return methods(file).xShmMap(ours(file).real, page, size, extend, memory);
}
int lock_shared(sqlite3_file* file, int offset, int count, int flags) {
  return methods(file).xShmLock(ours(file).real, offset, count, flags);
}
void order_shared(sqlite3_file* file) { methods(file).xShmBarrier(ours(file).real); }
int unmap_shared(sqlite3_file* file, int remove) {
  return methods(file).xShmUnmap(ours(file).real, remove);
}

const sqlite3_io_methods kMethods = {2,
                                     close_file,
                                     read_file,
                                     write_file,
                                     truncate_file,
                                     sync_file,
                                     size_of_file,
                                     lock_file,
                                     unlock_file,
                                     check_lock,
                                     control_file,
                                     sector_size,
                                     characteristics,
                                     map_shared,
                                     lock_shared,
                                     order_shared,
                                     unmap_shared,
                                     nullptr,
                                     nullptr};

int open_file(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  File& f = ours(file);
  f.base.pMethods = nullptr;
  f.real = reinterpret_cast<sqlite3_file*>(&f + 1);
  f.path = path;
  f.log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
  const bool fresh =
      path != nullptr && (flags & SQLITE_OPEN_CREATE) != 0 && !real_files().exists(path);
  if (fresh)
    if (const int code = trouble(true, SQLITE_CANTOPEN); code != SQLITE_OK) return code;
  const int code = real->xOpen(real, path, f.real, flags, out_flags);
  if (code != SQLITE_OK) return code;
  if (fresh) disaster->created(path);
  f.base.pMethods = &kMethods;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* path, int sync_folder) {
  if (!real_files().exists(path)) return real->xDelete(real, path, 0);
  if (const int code = trouble(false, SQLITE_IOERR_DELETE); code != SQLITE_OK) return code;
  disaster->removes(path);
  const int code = real->xDelete(real, path, 0);
  if (sync_folder != 0) disaster->folder_synced(Path(path).parent_path());
  return code;
}

int last_error(sqlite3_vfs*, int, char*) { return disaster->error(); }

// Who waits for a lock gives up at once, but in as many steps as ever.
int do_not_sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

}  // namespace

void put_sqlite_under(Disaster& chosen) {
  disaster = &chosen;
  if (real != nullptr) return;
  real = sqlite3_vfs_find(nullptr);
  static sqlite3_vfs layer = *real;
  layer.zName = "disaster";
  layer.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  layer.pNext = nullptr;
  layer.xOpen = open_file;
  layer.xDelete = delete_file;
  layer.xGetLastError = last_error;
  layer.xSleep = do_not_sleep;
  sqlite3_vfs_register(&layer, 1);
}

}  // namespace ration::store
