#pragma once

// The decisions of a sweep's loop, as they were taken: <store>/loops/<sweep>.jsonl, one JSON object
// a line, appended before anything is started for it and ending in a CRC-32C as event logs do
// (run/events.h). They hold no time and no place, so a loop that was killed and continued leaves
// the bytes that an undisturbed one leaves.
//
//   Result<Journal> journal = Journal::open(files, store, "first");
//   if (Result<void> kept = journal->append(decision); !kept) …
//
// A kill may tear the last line, which then counts as not written. A damaged line before it is an
// error (ErrorKind::input) that names file and line. One loop at a time writes.

#include <vector>

#include "base/files.h"
#include "loop/decide.h"

namespace ration::loop {

class Journal {
 public:
  // A missing file is an empty journal; nothing is written.
  static Result<Journal> open(Files& files, const Path& store, const std::string& sweep);

  const std::vector<Decision>& decisions() const { return decisions_; }

  // Durable when it returns. A decision equal to the last one is not written again.
  Result<void> append(Decision decision);

 private:
  Journal(Files& files, Path file) : files_(&files), file_(std::move(file)) {}
  Files* files_;
  Path file_;
  std::uint64_t whole_ = 0;  // bytes of whole lines; what stands behind them was torn
  std::vector<Decision> decisions_;
};

// The names of the sweeps that have a journal.
Result<std::vector<std::string>> journals(Files& files, const Path& store);

// The document ration.decision/1 (docs/closing-the-loop.md), and back.
Json to_json(const Decision& decision);
Result<Decision> decision_from_json(const Json& document);

}  // namespace ration::loop
