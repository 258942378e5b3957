#pragma once

// The event log of an attempt: one JSON object a line, appended by one process, ending in a CRC-32C
// of the bytes before it. After a kill the last line may be torn; a reader takes whole lines only.
//
//   {"seq":0,"type":"start","t":…,"step":0,"tokens":0,"epoch":0,…,"crc":"1a2b3c4d"}
//
// Types: start, train, val, epoch, checkpoint, skip, spike, resume, stop (with "reason"), done.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace ration::run {

enum class EventType { start, train, val, epoch, checkpoint, skip, spike, resume, stop, done };
std::string_view name(EventType type);

// One line of the log. `values` holds the type's own members (loss, lr, reason, …); docs/formats.md
// lists them.
struct Event {
  std::int64_t seq = 0;  // 0, 1, 2, … without gaps within one attempt
  EventType type = EventType::start;
  double t = 0;             // UNIX seconds
  std::int64_t step = 0;    // optimiser steps finished
  std::int64_t tokens = 0;  // training tokens seen
  double epoch = 0;         // tokens / unique tokens
  Json values = Json::object();
};

// The line, with its newline. A value that is not finite is written as the string "nan", "inf" or
// "-inf".
std::string encode(const Event& event);

// The event of one line without its newline; an error says what is wrong with it (CRC, JSON,
// members). Longer than 1 MiB: refused.
Result<Event> decode(std::string_view line);

// A number that encode() may have written as a string; NaN when absent.
double number(const Json& values, std::string_view key);

class EventWriter {
 public:
  EventWriter(std::unique_ptr<AppendFile> file, std::int64_t next_seq)
      : file_(std::move(file)), next_seq_(next_seq) {}
  // Sets the sequence number and appends. `durable` also syncs: for start, checkpoint, stop and
  // done.
  Result<void> write(Event event, bool durable);

 private:
  std::unique_ptr<AppendFile> file_;
  std::int64_t next_seq_;
};

// What a reader took from a log.
struct EventBatch {
  std::vector<Event> events;
  std::uint64_t next_offset = 0;  // continue here: behind the last whole line
  std::int64_t next_seq = 0;
  std::int64_t damaged = 0;  // whole lines that were skipped: CRC, JSON or a gap in seq
};

// Whole lines from `offset` on. A missing file gives an empty batch. Memory is bounded by `limit`
// bytes a call.
Result<EventBatch> read_events(Files& files,
                               const Path& log,
                               std::uint64_t offset,
                               std::int64_t next_seq,
                               std::uint64_t limit = 64U << 20);

}  // namespace ration::run
