#pragma once

// The text from which a vocabulary is learned: lines of training documents in a fixed random order,
// up to a number of bytes. Held-out documents have no say.

#include <optional>
#include <span>
#include <string>

#include "data/manifest.h"

namespace ration::data {

class SampleLines {
 public:
  // Both must outlive the object.
  SampleLines(Files& files,
              Path folder,
              std::span<const SourceFile> sources,
              std::int64_t sample_bytes);

  // The next line without its end, at most 4096 bytes of a longer one; nothing at the end.
  std::optional<std::string> next();

  // Why it ended early: a file that changed since it was scanned.
  const std::optional<Error>& problem() const { return problem_; }

 private:
  bool open_next_document();

  Files& files_;
  Path folder_;
  std::span<const SourceFile> sources_;
  std::vector<std::uint32_t> order_;  // of sources_
  std::size_t opened_ = 0;
  std::string text_;
  std::size_t at_ = 0;
  std::int64_t bytes_left_;
  std::optional<Error> problem_;
};

// The text of a source; an error when it is no longer what was scanned.
Result<std::string> read_source(Files& files, const Path& folder, const SourceFile& source);

// Bytes of the longest piece at the start of `text` that has at most `limit` bytes and ends where a
// character ends.
std::size_t whole_characters(std::string_view text, std::size_t limit);

}  // namespace ration::data
