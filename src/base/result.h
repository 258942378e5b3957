#pragma once

// Errors as values. A function that can fail returns Result<T>; exceptions of libraries are caught
// where they are thrown and become an Error. No exception crosses from one room to another.
//
//   Result<Spec> spec = read_spec(path);
//   if (!spec) return std::move(spec).error().with_context("while reading the run");
//   use(spec.value());

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ration {

// What went wrong, as far as the caller and the process exit code care.
enum class ErrorKind {
  usage,        // the command line or a sweep file is wrong; exit 2
  input,        // a data file, row, shard or spec is unusable; exit 2
  resource,     // something is missing or full: disk, permission, LibTorch; exit 3
  untrusted,    // a fit or measurement is not to be trusted; exit 4
  interrupted,  // stopped on request, state saved; exit 5
  internal,     // our own bug; exit 70
};

// The exit code of `ration` for an error of this kind.
int exit_code(ErrorKind kind);

// A place in a text file; line and column count from 1, 0 means unknown.
struct SourceRef {
  std::string file;
  int line = 0;
  int column = 0;
  std::string line_text = {};  // the offending line, shown with a caret; empty when unknown
};

// What, where, and what to do. `causes` holds several problems found in one pass, or the error
// underneath.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string what;
  std::string hint = {};
  std::optional<SourceRef> where = {};
  std::vector<Error> causes = {};

  // The same error with `context` in front of what it says.
  Error with_context(const std::string& context) &&;

  // The text for people: `error: what`, ` --> file:line:column`, the line with a caret, `help:
  // hint`, then causes.
  std::string describe() const;
};

// One error out of several problems found in one pass; the kind is that of the first. Needs at
// least one problem.
Error combine(std::vector<Error> problems, std::string summary);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Asking for the value of an error, or the error of a value, is a bug of the caller and throws
  // bad_variant_access.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T value_or(T other) const& { return has_value() ? value() : std::move(other); }

  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  Error& error() & { return error_.value(); }
  const Error& error() const& { return error_.value(); }
  Error&& error() && { return std::move(error_).value(); }

 private:
  std::optional<Error> error_;
};

}  // namespace ration
