#pragma once

// Files that hold many documents: how they are cut, and a reader that holds one block of whole
// records at a time.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace ration::data {

// How one file becomes documents.
struct RecordRule {
  enum class Kind {
    whole,        // the file is one document
    json_lines,   // every line is a JSON object that holds one
    lines,        // every line is one
    blank_lines,  // paragraphs between lines without text
    separator,    // what stands between two occurrences of `separator`
  };
  Kind kind = Kind::whole;
  std::string separator = {};
};

// "lines", "blank-lines", or a separator, in which \n, \t and \\ stand for a line feed, a tab and a
// backslash. Errors (ErrorKind::usage): an empty separator, another escape.
Result<RecordRule> parse_split(std::string_view text);

// One record of a block; `number` counts lines (json_lines, lines) or records, from 1.
struct RecordSpan {
  std::uint64_t number = 0;
  std::size_t at = 0;
  std::size_t size = 0;
  bool too_large = false;  // longer than the reader's limit; its bytes were left out
};

struct Block {
  std::string bytes;
  std::vector<RecordSpan> records;  // records without a byte are left out
  std::uint64_t read = 0;           // bytes of the file, compressed or not, taken so far
};

// Reads a file once, from front to back, unpacking it where it is compressed.
// Memory: a block (1 MiB, or one longer record), and 4 MiB.
class BlockReader {
 public:
  // `files` must outlive the reader. Records of more than `limit` bytes are passed over.
  BlockReader(Files& files, Path path, RecordRule rule, std::size_t limit);
  ~BlockReader();

  // The next block, or nothing at the end. Errors: unreadable; damaged() says whether it was a
  // compressed file that cannot be unpacked.
  Result<std::optional<Block>> next();
  bool damaged() const { return damaged_; }

 private:
  class Source;
  std::size_t cut(Block& block, std::string_view text, bool last);
  std::size_t tail(std::string_view text) const;
  std::size_t end_of_record(std::string_view text, std::size_t from) const;

  std::unique_ptr<Source> source_;
  RecordRule rule_;
  std::size_t limit_;
  std::string carried_;  // the beginning of a record whose end has not been read
  std::uint64_t number_ = 0;
  bool passing_over_ = false;  // within a record that is too large
  bool damaged_ = false;
  bool ended_ = false;
};

}  // namespace ration::data
