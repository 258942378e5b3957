#pragma once

// What happened in a fusion, in order: journal.jsonl, one JSON object a line with its number "seq"
// (from 1) and a CRC-32C (base/crc_line.h). A kill may tear the last line, which then counts as not
// written; a damaged line before it is an error. Internal to the room; one fusion at a time writes.
//
//   {"seq":1,"event":"begun","base":HEX}
//   {"seq":2,"event":"opened","round":1}                  with "deadline" where there is one
//   {"seq":3,"event":"arrived","round":1, …}              members of a Contribution
//   {"seq":4,"event":"absent","round":1,"contributor":"prose","reason":"…"}
//   {"seq":5,"event":"extended","round":1,"deadline":…}
//   {"seq":6,"event":"closed","round":1,"why":"all are in"}   nothing that comes later counts in it

#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace ration::fuse {

class Journal {
 public:
  // A missing file is an empty journal; nothing is written.
  static Result<Journal> open(Files& files, Path file);

  const std::vector<Json>& events() const { return events_; }

  // Numbers the event and writes it; durable when it returns. Its number.
  Result<std::int64_t> append(Json event);

 private:
  Journal(Files& files, Path file) : files_(&files), file_(std::move(file)) {}

  Files* files_;
  Path file_;
  std::uint64_t whole_ = 0;  // bytes of whole lines; what stands behind them was torn
  std::vector<Json> events_;
};

}  // namespace ration::fuse
