#pragma once

// The real files without the waiting for the disk: what is written appears whole and survives any
// kill, but the last seconds may be lost, or come out empty, when the machine itself goes down.
// For files that matter only as long as a process of this machine lives, or that can be made again.
// open_append()'s sync() still syncs.

#include "base/files.h"

namespace ration {

Files& unsynced_files();

}  // namespace ration
