#include <fmt/format.h>

#include "base/result.h"

namespace ration {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::input:
      return 2;
    case ErrorKind::resource:
      return 3;
    case ErrorKind::untrusted:
      return 4;
    case ErrorKind::interrupted:
      return 5;
    case ErrorKind::internal:
      return 70;
  }
  return 70;
}

Error Error::with_context(const std::string& context) && {
  what = context + ": " + what;
  return std::move(*this);
}

namespace {

std::string place(const SourceRef& where) {
  std::string text = fmt::format("  --> {}", where.file);
  if (where.line > 0) text += fmt::format(":{}", where.line);
  if (where.line > 0 && where.column > 0) text += fmt::format(":{}", where.column);
  text += '\n';
  if (where.line_text.empty()) return text;
  text += fmt::format("   | {}\n", where.line_text);
  if (where.column > 0) text += fmt::format("   | {:>{}}\n", '^', where.column);
  return text;
}

}  // namespace

std::string Error::describe() const {
  std::string text = fmt::format("error: {}\n", what);
  if (where) text += place(*where);
  if (!hint.empty()) text += fmt::format("help: {}\n", hint);
  for (const Error& cause : causes) text += cause.describe();
  return text;
}

Error combine(std::vector<Error> problems, std::string summary) {
  if (problems.size() == 1) return std::move(problems.front());
  const ErrorKind kind = problems.empty() ? ErrorKind::internal : problems.front().kind;
  return {.kind = kind, .what = std::move(summary), .causes = std::move(problems)};
}

}  // namespace ration
