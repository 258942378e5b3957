#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ration {
namespace {

constexpr int kMaxDepth = 64;

SourceRef locate(std::string_view text, std::size_t byte, const std::string& file) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const std::size_t column = before.size() - start + 1;
  constexpr std::size_t kShown = 160;  // a caret far to the right helps nobody
  const std::string_view content = text.substr(start, text.find('\n', start) - start);
  return {file,
          static_cast<int>(line),
          static_cast<int>(column),
          std::string(column <= kShown ? content.substr(0, kShown) : "")};
}

// What nlohmann says, without its "[json.exception.…] parse error at line …: " in front.
std::string reason(const std::string& what) {
  const std::size_t colon = what.find(": ");
  constexpr std::size_t kShown = 200;  // nlohmann repeats the text that it read last, however long
  return (colon == std::string::npos ? what : what.substr(colon + 2)).substr(0, kShown);
}

class CanonicalWriter {
 public:
  Result<void> write(const Json& value) {
    switch (value.type()) {
      case Json::value_t::object:
        return write_object(value);
      case Json::value_t::array:
        return write_array(value);
      case Json::value_t::number_float:
        return write_double(value.get<double>());
      case Json::value_t::string:
        write_string(value.get_ref<const std::string&>());
        return {};
      case Json::value_t::number_integer:
        write_integer(value.get<std::int64_t>());
        return {};
      case Json::value_t::binary:
      case Json::value_t::discarded:
        return Error{.kind = ErrorKind::internal,
                     .what = "a value that is not JSON cannot be written canonically"};
      default:
        text += value.dump(-1, ' ', false, Json::error_handler_t::replace);
        return {};
    }
  }

  std::string text;

 private:
  Result<void> write_object(const Json& object) {  // nlohmann keeps keys in byte order
    text += '{';
    bool first = true;
    for (const auto& [key, value] : object.items()) {
      if (!first) text += ',';
      first = false;
      write_string(key);
      text += ':';
      if (Result<void> done = write(value); !done) return done;
    }
    text += '}';
    return {};
  }

  Result<void> write_array(const Json& array) {
    text += '[';
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (i > 0) text += ',';
      if (Result<void> done = write(array[i]); !done) return done;
    }
    text += ']';
    return {};
  }

  // Identities of thousands of runs are computed at once: plain text takes a short way.
  void write_string(const std::string& value) {
    const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
      return c >= ' ' && c <= '~' && c != '"' && c != '\\';
    });
    if (plain)
      text.append(1, '"').append(value).append(1, '"');
    else
      text += Json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  void write_integer(std::int64_t value) {
    char buffer[24];
    text.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }

  Result<void> write_double(double value) {
    if (!std::isfinite(value))
      return Error{.kind = ErrorKind::input, .what = "NaN and infinities have no place in JSON"};
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    if (value == std::floor(value) && std::abs(value) < kExactIntegers) {
      write_integer(static_cast<std::int64_t>(value));
      return {};
    }
    char buffer[32];
    text.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
    return {};
  }
};

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& file) {
  bool too_deep = false;
  const auto limit_depth = [&](int depth, Json::parse_event_t event, Json&) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    too_deep = too_deep || (opens && depth >= kMaxDepth);
    return !too_deep;
  };
  try {
    Json value = Json::parse(text, limit_depth);
    if (too_deep)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("JSON nested deeper than {} levels", kMaxDepth),
                   .where = SourceRef{.file = file}};
    return value;
  } catch (const Json::parse_error& e) {
    return Error{.kind = ErrorKind::input,
                 .what = "not valid JSON: " + reason(e.what()),
                 .hint = "correct the file at the place shown",
                 .where = locate(text, e.byte > 0 ? e.byte - 1 : 0, file)};
  } catch (const Json::exception& e) {
    return Error{.kind = ErrorKind::input,
                 .what = "not valid JSON: " + reason(e.what()),
                 .where = SourceRef{.file = file}};
  }
}

Result<std::string> canonical_json(const Json& value) {
  CanonicalWriter writer;
  if (Result<void> done = writer.write(value); !done) return std::move(done).error();
  return std::move(writer.text);
}

}  // namespace ration
