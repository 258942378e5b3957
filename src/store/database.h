#pragma once

// A thin layer over SQLite, private to the room. Inside the room a failed call throws Failure;
// every public function of the room catches it (guarded) and returns the Error.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ration::store {

struct Failure {
  Error error;
};

// Runs `body` and turns a Failure into its Error.
template <class Body>
auto guarded(Body body) -> Result<decltype(body())> {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return {};
    } else {
      return body();
    }
  } catch (Failure& failure) {
    return std::move(failure.error);
  }
}

// The value of a result, or the same failure inside the room.
template <class T>
T unwrap(Result<T> result) {
  if (!result) throw Failure{std::move(result).error()};
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// Bytes written as hex digits; stored as a BLOB.
struct Hex {
  std::string_view digits;
};

class Database;

// A prepared statement; parameters count from 1, columns from 0. NaN is stored as NULL and NULL
// read as NaN.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  Statement(Statement&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)), database_(other.database_) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  // One parameter, for statements with very many; reset() before the first.
  void set(int index, std::int64_t value) { bind_one(index, value); }
  void set(int index, double value) { bind_one(index, value); }
  void reset();
  bool step();  // true while there is a row
  void run() {  // for statements without rows
    while (step()) {
    }
    reset();
  }

  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::string blob_as_hex(int column) const;
  bool null(int column) const;
  int columns() const;
  std::string column_name(int column) const;

 private:
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, int value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, double value);
  void bind_one(int index, std::string_view value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, std::nullptr_t);
  void bind_one(int index, Hex value);
  template <class T>
  void bind_one(int index, const std::optional<T>& value) {
    if (value)
      bind_one(index, *value);
    else
      bind_one(index, nullptr);
  }

  sqlite3_stmt* statement_ = nullptr;
  const Database* database_;
};

enum class Access { read, write };

class Database {
 public:
  Database(Path file, Access access, double busy_seconds);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Statements are prepared once: the database keeps them for the next who asks for the same text.
  Statement prepare(std::string_view sql) const { return {*this, sql}; }
  void execute(const std::string& sql) const;        // one or more statements without parameters
  std::int64_t integer(std::string_view sql) const;  // first column of the first row; 0 without one
  std::int64_t last_insert() const;
  // Overwrites `target` with this database as it stands at one moment.
  void copy_to(Database& target) const;
  const Path& file() const { return file_; }

 private:
  friend class Statement;
  sqlite3_stmt* take(std::string_view sql) const;
  void give_back(sqlite3_stmt* statement) const;

  sqlite3* connection_ = nullptr;
  Path file_;
  mutable std::map<std::string, sqlite3_stmt*, std::less<>> kept_;  // null while in use
};

// BEGIN IMMEDIATE … COMMIT; without commit() everything is undone. `durable`: the commit survives a
// power cut, not only a kill.
class Transaction {
 public:
  explicit Transaction(Database& database, bool durable = false);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool durable_;
  bool open_ = true;
};

}  // namespace ration::store
