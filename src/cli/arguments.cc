// What a command is given: its arguments and its console.

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "cli/command.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

Error usage_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// What finds no room is not worth the end of the command, unlike with fmt::print.
void print_to(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

}  // namespace

void Console::print(std::string_view text) const { print_to(stdout, text); }

void Console::print_json(const Json& document) const {
  print(document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::print_error(std::string_view text) const {
  print_to(stderr, without_control_bytes(text));
}

void Console::note(std::string_view text) const {
  if (quiet) return;
  print_to(stderr, fmt::format("{}{}\n", live ? "\r\x1b[K" : "", without_control_bytes(text)));
}

void Console::progress(std::string_view line) const {
  if (quiet) return;
  if (live)
    print_to(stderr, fmt::format("\r\x1b[K{}", line.substr(0, static_cast<std::size_t>(width))));
  else
    print_to(stderr, fmt::format("{}\n", line));
  std::fflush(stderr);
}

std::optional<std::string> Arguments::text(std::string_view name) const {
  for (auto value = values.rbegin(); value != values.rend(); ++value)
    if (value->first == name) return value->second;
  return std::nullopt;
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  std::vector<std::string> texts;
  for (const auto& [key, value] : values)
    if (key == name) texts.push_back(value);
  return texts;
}

Result<std::optional<double>> Arguments::quantity(std::string_view name,
                                                  std::string_view unit) const {
  const std::optional<std::string> given = text(name);
  if (!given) return std::optional<double>();
  Result<double> value = parse_quantity(*given, unit);
  if (!value) return std::move(value).error().with_context(fmt::format("--{}", name));
  return std::optional<double>(*value);
}

Result<std::optional<std::int64_t>> Arguments::whole(std::string_view name,
                                                     std::int64_t low,
                                                     std::int64_t high) const {
  Result<std::optional<double>> value = quantity(name, "");
  if (!value) return std::move(value).error();
  if (!*value) return std::optional<std::int64_t>();
  if (std::floor(**value) != **value)
    return usage_error(fmt::format("--{} takes a whole number, not {}", name, *text(name)),
                       "leave the fraction out");
  if (**value < static_cast<double>(low) || **value > static_cast<double>(high))
    return usage_error(fmt::format("--{} {} is out of range", name, *text(name)),
                       fmt::format("allowed: {} to {}", low, high));
  return std::optional(static_cast<std::int64_t>(**value));
}

}  // namespace ration::cli
