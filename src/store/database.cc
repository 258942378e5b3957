#include "store/database.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

namespace ration::store {
namespace {

// `reason`: the errno behind it; by itself the connection's.
[[noreturn]] void fail(sqlite3* connection, int code, const Path& file, int reason = 0) {
  const int base = code & 0xff;
  Error error{.kind = ErrorKind::internal,
              .what = fmt::format(
                  "{}: {}",
                  file.string(),
                  connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code))};
  // SQLite's own words are the same for a bad disk, a quota and a lost network.
  if (connection != nullptr) reason = sqlite3_system_errno(connection);
  if ((base == SQLITE_IOERR || base == SQLITE_CANTOPEN) && reason != 0 && reason != ENOENT) {
    error.what += fmt::format(": {}", std::strerror(reason));
    error.hint = system_error("write", file, reason).hint;
  }
  switch (base) {
    case SQLITE_IOERR:
      error.kind = ErrorKind::resource;
      if (error.hint.empty()) error.hint = "see whether this disk works, then repeat the command";
      break;
    case SQLITE_FULL:
      error.kind = ErrorKind::resource;
      error.hint = "free some space, then repeat the same command: it continues";
      break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      error.kind = ErrorKind::resource;
      if (error.hint.empty())
        error.hint = "choose a folder that you may write to, or change its permissions";
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.kind = ErrorKind::resource;
      error.hint = "another program holds the database; try again";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      error.kind = ErrorKind::input;
      error.hint =
          "the database is damaged; `ration db rebuild` makes it again from the run folders";
      break;
    default:
      break;
  }
  throw Failure{std::move(error)};
}

// Null where that fails; `reason` becomes the errno behind it.
sqlite3* connect(const std::string& name, int flags, int* reason = nullptr) {
  sqlite3* connection = nullptr;
  // A connection is one thread's: SQLite need not guard each call.
  const int code = sqlite3_open_v2(name.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code == SQLITE_OK) return connection;
  if (reason != nullptr && connection != nullptr) *reason = sqlite3_system_errno(connection);
  sqlite3_close(connection);
  return nullptr;
}

// The extended code of a first look at the database.
int first_look(sqlite3* connection) {
  sqlite3_exec(connection, "SELECT 1 FROM sqlite_master", nullptr, nullptr, nullptr);
  return sqlite3_extended_errcode(connection);
}

// Undoes the transaction that a writer left half-done when it was killed under a plain journal. A
// reader may not, and refuses until somebody has.
void undo_unfinished(const std::string& name) {
  sqlite3* connection = connect(name, SQLITE_OPEN_READWRITE);
  if (connection == nullptr) return;
  first_look(connection);
  sqlite3_close(connection);
}

// A copy of a database and of the log that was not brought into it, for a place where nothing can
// be written: SQLite reads a log only where it can make shared memory. Null where that fails.
sqlite3* connect_to_copy(const Path& file) {
  std::error_code code;
  std::string folder = (std::filesystem::temp_directory_path(code) / "ration-copy-XXXXXX").string();
  if (code || mkdtemp(folder.data()) == nullptr) return nullptr;
  const Path copy = Path(folder) / "copy.db";
  sqlite3* connection = nullptr;
  if (std::filesystem::copy_file(file, copy, code) &&
      std::filesystem::copy_file(file.string() + "-wal", copy.string() + "-wal", code)) {
    connection = connect(copy.string(), SQLITE_OPEN_READWRITE);
    if (connection != nullptr) first_look(connection);
  }
  std::filesystem::remove_all(folder, code);  // what is open stays readable
  return connection;
}

std::string uri_of(const Path& file, std::string_view query) {
  std::string name = "file:";
  for (const char c : std::filesystem::absolute(file).string()) {
    const bool special = c == '?' || c == '#' || c == '%';
    name += special ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return name + std::string(query);
}

}  // namespace

Statement::Statement(const Database& database, std::string_view sql)
    : statement_(database.take(sql)), database_(&database) {}

Statement::~Statement() {
  if (statement_ != nullptr) database_->give_back(statement_);
}

void Statement::reset() { sqlite3_reset(statement_); }

void Statement::bind_one(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_, index, value);
}

void Statement::bind_one(int index, double value) {
  if (std::isnan(value))
    sqlite3_bind_null(statement_, index);
  else
    sqlite3_bind_double(statement_, index, value);
}

void Statement::bind_one(int index, std::string_view value) {
  // A null pointer would be stored as NULL.
  sqlite3_bind_text64(statement_,
                      index,
                      value.empty() ? "" : value.data(),
                      value.size(),
                      SQLITE_TRANSIENT,
                      SQLITE_UTF8);
}

void Statement::bind_one(int index, Hex value) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < value.digits.size(); i += 2)
    bytes += static_cast<char>(digit(value.digits[i]) * 16 + digit(value.digits[i + 1]));
  sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

void Statement::bind_one(int index, std::nullptr_t) { sqlite3_bind_null(statement_, index); }

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* connection = sqlite3_db_handle(statement_);
  const int extended = sqlite3_extended_errcode(connection);
  fail(connection, extended, database_->file());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const {
  if (null(column)) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string Statement::blob_as_hex(int column) const {
  const auto* bytes = static_cast<const unsigned char*>(sqlite3_column_blob(statement_, column));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (int i = 0; i < sqlite3_column_bytes(statement_, column); ++i)
    hex += {kDigits[bytes[i] >> 4U], kDigits[bytes[i] & 15U]};
  return hex;
}

bool Statement::null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Statement::columns() const { return sqlite3_column_count(statement_); }

std::string Statement::column_name(int column) const {
  return sqlite3_column_name(statement_, column);
}

Database::Database(Path file, Access access, double busy_seconds) : file_(std::move(file)) {
  const int flags =
      access == Access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  int reason = 0;
  connection_ = connect(file_.string(), flags, &reason);
  if (connection_ == nullptr) fail(nullptr, SQLITE_CANTOPEN, file_, reason);
  const int code = access == Access::read ? first_look(connection_) : SQLITE_OK;
  if (code == SQLITE_READONLY_ROLLBACK) undo_unfinished(file_.string());
  if ((code & 0xff) == SQLITE_CANTOPEN) {
    // The folder cannot be written, so SQLite cannot make its shared memory. What was committed to
    // the log alone would not be seen in the file.
    sqlite3_close(connection_);
    std::error_code none;
    const auto log = std::filesystem::file_size(file_.string() + "-wal", none);
    connection_ = !none && log > 0
                      ? connect_to_copy(file_)
                      : connect(uri_of(file_, "?immutable=1"), flags | SQLITE_OPEN_URI);
    if (connection_ == nullptr) fail(nullptr, SQLITE_CANTOPEN, file_);
  }
  sqlite3_extended_result_codes(connection_, 1);
  sqlite3_busy_timeout(connection_, static_cast<int>(busy_seconds * 1000));
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
}

Database::~Database() {
  for (const auto& [sql, statement] : kept_) sqlite3_finalize(statement);
  sqlite3_close_v2(connection_);
}

// Each text is kept once; a second statement of it that is in use at the same time is not kept. Nor
// are pragmas: SQLite looks at some settings while it prepares them.
sqlite3_stmt* Database::take(std::string_view sql) const {
  if (const auto found = kept_.find(sql); found != kept_.end() && found->second != nullptr)
    return std::exchange(found->second, nullptr);
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_,
                                      sql.data(),
                                      static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT,
                                      &statement,
                                      nullptr);
  if (code != SQLITE_OK) fail(connection_, code, file_);
  constexpr std::size_t kMost = 100;  // some texts hold values, and seldom come again
  if (kept_.size() < kMost && !sql.starts_with("PRAGMA")) kept_.emplace(sql, nullptr);
  return statement;
}

void Database::give_back(sqlite3_stmt* statement) const {
  const auto place = kept_.find(std::string_view(sqlite3_sql(statement)));
  if (place == kept_.end() || place->second != nullptr) {
    sqlite3_finalize(statement);
    return;
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  place->second = statement;
}

void Database::execute(const std::string& sql) const {
  const int code = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(connection_, code, file_);
}

std::int64_t Database::integer(std::string_view sql) const {
  Statement statement = prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::int64_t Database::last_insert() const { return sqlite3_last_insert_rowid(connection_); }

void Database::copy_to(Database& target) const {
  sqlite3_backup* copy = sqlite3_backup_init(target.connection_, "main", connection_, "main");
  if (copy == nullptr) fail(target.connection_, sqlite3_errcode(target.connection_), target.file_);
  // All pages in one step: a single moment, and under a write-ahead log no writer waits for it.
  const int stepped = sqlite3_backup_step(copy, -1);
  const int finished = sqlite3_backup_finish(copy);
  if (finished != SQLITE_OK) fail(target.connection_, finished, target.file_);
  if (stepped != SQLITE_DONE) fail(nullptr, stepped, target.file_);
}

Transaction::Transaction(Database& database, bool durable)
    : database_(database), durable_(durable) {
  // EXTRA, for with a plain journal FULL leaves the commit itself, a removal, to the next sync.
  if (durable_) database_.execute("PRAGMA synchronous=EXTRA");
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  try {
    // SQLite undoes a transaction by itself when the disk is full; a second ROLLBACK then fails.
    if (open_) database_.execute("ROLLBACK");
  } catch (const Failure&) {
  }
  try {
    if (durable_) database_.execute("PRAGMA synchronous=NORMAL");
  } catch (const Failure&) {
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace ration::store
