#pragma once

// Tables, views and settings of the database; private to the room. docs/store.md explains them.

#include <string>

#include "store/database.h"

namespace ration::store {

inline constexpr int kSchemaVersion = 6;   // PRAGMA user_version
inline constexpr int kOldestReadable = 1;  // the queries of this program work on it as it is

// Settings of a connection that writes. Where the shared memory of a WAL does not work, as on a
// network file system, the journal is a plain one; returns a warning to show, or nothing.
std::string configure_writer(Database& database);

// Creates the tables of a new database; refuses one that this program cannot use.
void ensure_schema(Database& database);

// Refuses a database that this program cannot read.
void require_schema(const Database& database);

// Brings an older database to this program's version, after a copy of it as
// <file>.schema-<version>. Steps and version are one transaction: a kill leaves the old version or
// the new one. Returns a line to show, or nothing when there was nothing to do.
std::string migrate(Database& database, Files& files);

}  // namespace ration::store
