#pragma once

// Tables, views and settings of the database; private to the room. docs/store.md explains them.

#include <string>

#include "store/database.h"

namespace ration::store {

inline constexpr int kSchemaVersion = 1;  // PRAGMA user_version

// Settings of a connection that writes. On a network file system the journal is a plain one, since
// the shared memory of a WAL does not work there; returns a warning to show, or nothing.
std::string configure_writer(Database& database);

// Creates the tables of a new database; refuses one of a newer program.
void ensure_schema(Database& database);

// Refuses a database of another version than this program's, for readers.
void require_schema(const Database& database);

}  // namespace ration::store
