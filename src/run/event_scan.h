#pragma once

// Event lines for readers of very many: the numbers and texts of a line without a tree of values,
// about ten times as fast as decode(), which decides in every doubt.
//
//   auto progress = visit_events(files, log, offset, next_seq, limit,
//                                [&](const EventView& event) { … });

#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "run/events.h"

namespace ration::run {

// As Event; the views live until the next line is scanned.
struct EventView {
  EventType type = EventType::start;
  std::int64_t seq = 0;
  double t = 0;
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double epoch = 0;
  // The type's own members that are numbers, "nan", "inf" and "-inf" among them, and those that are
  // other texts; each in the order of the line or of their names.
  std::vector<std::pair<std::string_view, double>> numbers;
  std::vector<std::pair<std::string_view, std::string_view>> texts;

  double number(std::string_view key) const;          // NaN when absent
  std::string_view text(std::string_view key) const;  // empty when absent
};

class EventScanner {
 public:
  // The event of a line without its newline, or null where decode() gives an error. It is valid
  // until the next call, and while `line` is.
  const EventView* scan(std::string_view line);

 private:
  bool scan_flat(std::string_view line);
  bool take_member(std::string_view key, std::string_view value, bool text);
  bool scan_tree(std::string_view line);

  EventView view_;
  unsigned seen_ = 0;  // bits of the members that every line has
  Event event_;        // owns the texts of a line that took the long way
};

// Where a reading of whole lines ended, as EventBatch says it.
struct LogProgress {
  std::uint64_t next_offset = 0;
  std::int64_t next_seq = 0;
  std::int64_t damaged = 0;
  std::int64_t events = 0;
};

// Visits what read_events() would return.
Result<LogProgress> visit_events(Files& files,
                                 const Path& log,
                                 std::uint64_t offset,
                                 std::int64_t next_seq,
                                 std::uint64_t limit,
                                 const std::function<void(const EventView& event)>& visit);

// The walk behind both: `decode` gives the sequence number of a sound line, `keep` takes the line
// decoded last.
Result<LogProgress> walk_lines(
    Files& files,
    const Path& log,
    std::uint64_t offset,
    std::int64_t next_seq,
    std::uint64_t limit,
    const std::function<std::optional<std::int64_t>(std::string_view line)>& decode,
    const std::function<void()>& keep);

}  // namespace ration::run
