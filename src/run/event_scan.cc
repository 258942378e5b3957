#include "run/event_scan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/crc_line.h"

namespace ration::run {
namespace {

constexpr std::size_t kMaxLine = 1U << 20;
constexpr unsigned kAllMembers = 0x7F;  // seq, type, t, step, tokens, epoch, crc

// Reads a flat JSON object of plain texts and numbers from its front; what else JSON allows ends
// it.
class FlatReader {
 public:
  explicit FlatReader(std::string_view line) : at_(line.data()), end_(at_ + line.size()) {}

  bool take(char c) {
    skip_blanks();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool at_quote() {
    skip_blanks();
    return at_ != end_ && *at_ == '"';
  }
  bool finished() const { return at_ == end_; }

  // Printable ASCII without escapes, in quotes.
  std::optional<std::string_view> text() {
    if (!take('"')) return std::nullopt;
    const char* begin = at_;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ < ' ' || *at_ > '~' || *at_ == '\\') return std::nullopt;
      ++at_;
    }
    if (at_ == end_) return std::nullopt;
    return std::string_view(begin, static_cast<std::size_t>(at_++ - begin));
  }

  // The characters of a number, by JSON's own grammar.
  std::optional<std::string_view> number() {
    const char* begin = at_;
    if (at_ != end_ && *at_ == '-') ++at_;
    const char* whole = at_;
    if (!digits()) return std::nullopt;
    if (*whole == '0' && at_ - whole > 1) return std::nullopt;
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (!digits()) return std::nullopt;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digits()) return std::nullopt;
    }
    return std::string_view(begin, static_cast<std::size_t>(at_ - begin));
  }

 private:
  void skip_blanks() {
    while (at_ != end_ && *at_ == ' ') ++at_;
  }
  bool digits() {
    const char* begin = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != begin;
  }

  const char* at_;
  const char* end_;
};

template <class Number>
bool read(std::string_view text, Number& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

std::optional<EventType> type_of(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(EventType::done); ++i)
    if (name(static_cast<EventType>(i)) == text) return static_cast<EventType>(i);
  return std::nullopt;
}

std::optional<double> named_number(std::string_view text) {
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

template <class Members>
bool has(const Members& members, std::string_view key) {
  return std::any_of(
      members.begin(), members.end(), [&](const auto& member) { return member.first == key; });
}

}  // namespace

double EventView::number(std::string_view key) const {
  for (const auto& [known, value] : numbers)
    if (known == key) return value;
  return std::numeric_limits<double>::quiet_NaN();
}

std::string_view EventView::text(std::string_view key) const {
  for (const auto& [known, value] : texts)
    if (known == key) return value;
  return {};
}

const EventView* EventScanner::scan(std::string_view line) {
  if (line.size() > kMaxLine || !check_crc(line)) return nullptr;
  return scan_flat(line) || scan_tree(line) ? &view_ : nullptr;
}

bool EventScanner::scan_flat(std::string_view line) {
  view_.numbers.clear();
  view_.texts.clear();
  seen_ = 0;
  FlatReader reader(line);
  if (!reader.take('{')) return false;
  do {
    const auto key = reader.text();
    if (!key || !reader.take(':')) return false;
    const bool text = reader.at_quote();
    const auto value = text ? reader.text() : reader.number();
    if (!value || !take_member(*key, *value, text)) return false;
  } while (reader.take(','));
  return reader.take('}') && reader.finished() && seen_ == kAllMembers;
}

// False where the line needs the long way: a member twice, or of another kind than it should be.
bool EventScanner::take_member(std::string_view key, std::string_view value, bool text) {
  const auto once = [&](unsigned bit) {
    const bool fresh = (seen_ & bit) == 0;
    seen_ |= bit;
    return fresh;
  };
  if (key == "seq") return once(1) && !text && read(value, view_.seq);
  if (key == "step") return once(2) && !text && read(value, view_.step);
  if (key == "tokens") return once(4) && !text && read(value, view_.tokens);
  if (key == "t") return once(8) && !text && read(value, view_.t);
  if (key == "epoch") return once(16) && !text && read(value, view_.epoch);
  if (key == "crc") return once(32) && text;
  if (key == "type") {
    const std::optional<EventType> type = type_of(value);
    if (!once(64) || !text || !type) return false;
    view_.type = *type;
    return true;
  }
  if (has(view_.numbers, key) || has(view_.texts, key)) return false;
  if (!text) {
    double number = 0;
    if (!read(value, number)) return false;
    if (value == "-0") number = 0;  // a whole number has no sign of zero
    view_.numbers.emplace_back(key, number);
  } else if (const std::optional<double> number = named_number(value)) {
    view_.numbers.emplace_back(key, *number);
  } else {
    view_.texts.emplace_back(key, value);
  }
  return true;
}

bool EventScanner::scan_tree(std::string_view line) {
  Result<Event> event = decode(line);
  if (!event) return false;
  event_ = std::move(*event);
  view_ = {.type = event_.type,
           .seq = event_.seq,
           .t = event_.t,
           .step = event_.step,
           .tokens = event_.tokens,
           .epoch = event_.epoch,
           .numbers = {},
           .texts = {}};
  for (const auto& [key, value] : event_.values.items()) {
    if (value.is_number()) {
      view_.numbers.emplace_back(key, value.get<double>());
    } else if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (const std::optional<double> number = named_number(text))
        view_.numbers.emplace_back(key, *number);
      else
        view_.texts.emplace_back(key, text);
    }
  }
  return true;
}

Result<LogProgress> visit_events(Files& files,
                                 const Path& log,
                                 std::uint64_t offset,
                                 std::int64_t next_seq,
                                 std::uint64_t limit,
                                 const std::function<void(const EventView& event)>& visit) {
  EventScanner scanner;
  const EventView* event = nullptr;
  return walk_lines(
      files,
      log,
      offset,
      next_seq,
      limit,
      [&](std::string_view line) -> std::optional<std::int64_t> {
        event = scanner.scan(line);
        return event != nullptr ? std::optional(event->seq) : std::nullopt;
      },
      [&] { visit(*event); });
}

}  // namespace ration::run
