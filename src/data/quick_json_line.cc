#include "data/quick_json_line.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "data/text_folder.h"

namespace ration::data {
namespace {

constexpr int kDeepest = 64;

void append_utf8(std::string& text, std::uint32_t letter) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80 | ((letter >> shift) & 0x3F));
  };
  if (letter < 0x80) {
    text += static_cast<char>(letter);
  } else if (letter < 0x800) {
    text += static_cast<char>(0xC0 | (letter >> 6));
    tail(0);
  } else if (letter < 0x10000) {
    text += static_cast<char>(0xE0 | (letter >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (letter >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool holds_control_characters(std::string_view text) {
  unsigned char any = 0;
  for (const char c : text) any |= static_cast<unsigned char>(c) < 0x20 ? 1 : 0;
  return any != 0;
}

// Every function returns false where it is in doubt.
class QuickLine {
 public:
  QuickLine(std::string_view line, const JsonFields& fields) : rest_(line), fields_(fields) {}

  std::optional<std::variant<JsonText, JsonLineProblem>> read() {
    blanks();
    if (!object(1)) return std::nullopt;
    blanks();
    if (!rest_.empty()) return std::nullopt;
    if (!has_text_) return JsonLineProblem::no_text;
    return std::move(found_);
  }

 private:
  bool begins(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool take(char c) {
    if (!begins(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void blanks() {
    while (begins(' ') || begins('\t') || begins('\n') || begins('\r')) rest_.remove_prefix(1);
  }

  bool object(int depth) {
    if (depth > kDeepest || !take('{')) return false;
    blanks();
    if (take('}')) return true;
    do {
      blanks();
      if (!string(name_)) return false;
      blanks();
      if (!take(':')) return false;
      blanks();
      if (!(depth == 1 ? member() : value(depth))) return false;
      blanks();
    } while (take(','));
    return take('}');
  }

  bool array(int depth) {
    if (depth > kDeepest || !take('[')) return false;
    blanks();
    if (take(']')) return true;
    do {
      blanks();
      if (!value(depth)) return false;
      blanks();
    } while (take(','));
    return take(']');
  }

  // The value of a member of the outermost object whose name is name_.
  bool member() {
    if (name_ == fields_.text) {
      has_text_ = begins('"');
      return has_text_ ? string(found_.text) : value(1);
    }
    if (fields_.id.empty() || name_ != fields_.id) return value(1);
    if (begins('"')) return string(found_.id);
    const std::string_view before = rest_;
    if (!value(1)) return false;
    const std::string_view taken = before.substr(0, before.size() - rest_.size());
    if (taken == "-0") return false;
    if (taken.find_first_not_of("-0123456789") == std::string_view::npos) found_.id = taken;
    return true;
  }

  bool value(int depth) {
    if (begins('"')) return string(unused_);
    if (begins('{')) return object(depth + 1);
    if (begins('[')) return array(depth + 1);
    for (const std::string_view word : {"true", "false", "null"})
      if (rest_.starts_with(word)) return rest_.remove_prefix(word.size()), true;
    return number();
  }

  bool number() {
    constexpr std::size_t kMost = 18;  // digits that fit 64 bits
    take('-');
    if (begins('0')) {
      rest_.remove_prefix(1);
      if (digits() > 0) return false;
    } else if (const std::size_t count = digits(); count == 0 || count > kMost) {
      return false;
    }
    if (take('.'))
      if (const std::size_t count = digits(); count == 0 || count > kMost) return false;
    return !begins('e') && !begins('E');
  }

  std::size_t digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count;
  }

  bool string(std::string& text) {
    text.clear();
    if (!take('"')) return false;
    const std::size_t end = end_of_string();
    if (end == std::string_view::npos) return false;
    std::string_view raw = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (holds_control_characters(raw)) return false;
    text.reserve(raw.size());
    while (true) {
      const std::size_t run = std::min(raw.find('\\'), raw.size());
      text.append(raw.substr(0, run));
      raw.remove_prefix(run);
      if (raw.empty()) return true;
      if (!escape(raw, text)) return false;
    }
  }

  // Where the string ends: at the first quote behind an even number of backslashes.
  std::size_t end_of_string() const {
    for (std::size_t end = rest_.find('"'); end != std::string_view::npos;
         end = rest_.find('"', end + 1)) {
      std::size_t backslashes = 0;
      while (backslashes < end && rest_[end - backslashes - 1] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return end;
    }
    return std::string_view::npos;
  }

  // Takes a backslash and what belongs to it.
  static bool escape(std::string_view& raw, std::string& text) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (raw.size() < 2) return false;
    if (raw[1] == 'u') return escaped_letter(raw, text);
    const std::size_t which = kLetters.find(raw[1]);
    if (which == std::string_view::npos) return false;
    text += kMeanings[which];
    raw.remove_prefix(2);
    return true;
  }

  static bool escaped_letter(std::string_view& raw, std::string& text) {
    std::optional<std::uint32_t> letter = escaped_unit(raw);
    if (!letter || (*letter >= 0xDC00 && *letter < 0xE000)) return false;
    if (*letter >= 0xD800 && *letter < 0xDC00) {
      const std::optional<std::uint32_t> low = escaped_unit(raw);
      if (!low || *low < 0xDC00 || *low >= 0xE000) return false;
      letter = 0x10000 + ((*letter - 0xD800) << 10) + (*low - 0xDC00);
    }
    append_utf8(text, *letter);
    return true;
  }

  // Takes \uXXXX.
  static std::optional<std::uint32_t> escaped_unit(std::string_view& raw) {
    constexpr std::size_t kSize = 6;
    if (raw.size() < kSize || !raw.starts_with("\\u")) return std::nullopt;
    std::uint32_t unit = 0;
    const char* end = raw.data() + kSize;
    if (std::from_chars(raw.data() + 2, end, unit, 16).ptr != end) return std::nullopt;
    raw.remove_prefix(kSize);
    return unit;
  }

  std::string_view rest_;
  const JsonFields& fields_;
  JsonText found_;
  bool has_text_ = false;
  std::string name_;
  std::string unused_;
};

}  // namespace

std::optional<std::variant<JsonText, JsonLineProblem>> quick_json_line(std::string_view line,
                                                                       const JsonFields& fields) {
  if (!is_utf8(line)) return std::nullopt;
  return QuickLine(line, fields).read();
}

}  // namespace ration::data
