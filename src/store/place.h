#pragma once

// How a database comes to its place in the store's folder; private to the room.

#include "base/files.h"
#include "store/store.h"

namespace ration::store {

// The file and its logs; nothing when there is none.
void remove_database(Files& files, const Path& file);

// Makes a new database with its tables, whole or not at all.
void make_database(Files& files, const Path& file);

// Throws where the database is missing beside runs or jobs that it told of: a new one would not
// know them, and they would be carried out once more.
void refuse_lost(Files& files, const Layout& layout);

// Fails where the database's names would be longer than SQLite takes.
Result<void> require_short_path(const Layout& layout);

// Puts a database that needs no log in the place of `file`. What was there is kept as
// <file>.before-rebuild, with its log where that could not be brought into it.
void replace_database(Files& files, const Path& built, const Path& file);

}  // namespace ration::store
