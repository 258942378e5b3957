#pragma once

// Copies of a database; private to the room.

#include "base/files.h"
#include "store/database.h"

namespace ration::store {

// Copies `database`, as it stands at one moment, to `file`: one file that needs no log beside it,
// whole or not at all, durable. Nobody holds the copy: its leases are empty.
void copy_database(const Database& database, Files& files, const Path& file);

}  // namespace ration::store
