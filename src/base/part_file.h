#pragma once

// Names for files that are written in pieces and renamed when they are whole.

#include "base/files.h"

namespace ration {

// <file>.<host>-<pid>.part, which no other process uses. What processes of this host left under
// such names of `file`, and are gone, is removed.
Path part_beside(Files& files, const Path& file);

}  // namespace ration
