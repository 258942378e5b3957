#include "data/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/unpack.h"

namespace ration::data {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::size_t kPacked = std::size_t{1} << 18;
constexpr std::size_t kLongestBlank = 4096;  // blanks that still count as a line without text

Error unknown_split(std::string_view text, std::string_view why) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("\"{}\" cannot separate documents: {}", text, why),
          .hint =
              "give lines, blank-lines, or the text between two documents, such as "
              "\"<|endoftext|>\" (\\n, \\t and \\\\ are a line feed, a tab, a backslash)"};
}

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool holds_text(std::string_view record) {
  return record.find_first_not_of(" \t\r\n\v\f") != std::string_view::npos;
}

}  // namespace

Result<RecordRule> parse_split(std::string_view text) {
  using Kind = RecordRule::Kind;
  if (text == "lines") return RecordRule{.kind = Kind::lines};
  if (text == "blank-lines") return RecordRule{.kind = Kind::blank_lines};
  if (text.empty()) return unknown_split(text, "it is empty");
  RecordRule rule{.kind = Kind::separator};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      rule.separator += text[i];
      continue;
    }
    const char letter = ++i < text.size() ? text[i] : '\0';
    if (letter != 'n' && letter != 't' && letter != '\\')
      return unknown_split(text, "a backslash stands before n, t or a backslash");
    rule.separator += letter == 'n' ? '\n' : letter == 't' ? '\t' : '\\';
  }
  return rule;
}

// The bytes of one file in order, unpacked.
class BlockReader::Source {
 public:
  Source(Files& files, Path path) : files_(files), path_(std::move(path)) {}

  std::uint64_t read_so_far() const { return offset_; }
  bool damaged() const { return damaged_; }

  // Appends about `size` bytes; false when the file has ended.
  Result<bool> append(std::string& text, std::size_t size) {
    if (offset_ == 0) {
      Result<std::string> start = files_.read_range(path_, 0, 6);
      if (!start) return std::move(start).error();
      if (const Packing packing = packing_of(*start); packing != Packing::none)
        unpacker_ = make_unpacker(packing);
      const Result<std::uint64_t> bytes = files_.size(path_);
      if (!bytes) return bytes.error();
      end_of_plain_ = *bytes;
    }
    return unpacker_ == nullptr ? append_plain(text, size) : append_unpacked(text, size);
  }

 private:
  Result<bool> append_plain(std::string& text, std::size_t size) {
    Result<std::string> piece = files_.read_range(path_, offset_, size);
    if (!piece) return std::move(piece).error();
    offset_ += piece->size();
    const bool ended = piece->empty();  // a file may shrink meanwhile
    if (text.empty())
      text = *std::move(piece);
    else
      text += *piece;
    return !ended && offset_ < end_of_plain_;
  }

  Result<bool> append_unpacked(std::string& text, std::size_t size) {
    const std::size_t wanted = text.size() + size;
    while (true) {
      if (!unpacker_->feed(packed_, text, wanted)) {
        damaged_ = true;
        return damaged_error();
      }
      if (text.size() >= wanted) return true;
      Result<std::string> piece = files_.read_range(path_, offset_, kPacked);
      if (!piece) return std::move(piece).error();
      offset_ += piece->size();
      if (piece->empty()) {
        damaged_ = !unpacker_->finish();
        if (damaged_) return damaged_error();
        return false;
      }
      bytes_ = *std::move(piece);
      packed_ = bytes_;
    }
  }

  Error damaged_error() const {
    return {
        .kind = ErrorKind::input,
        .what = fmt::format("{} cannot be unpacked: it is damaged or cut short", path_.string()),
        .hint = "fetch the file again"};
  }

  Files& files_;
  Path path_;
  std::uint64_t offset_ = 0;
  std::uint64_t end_of_plain_ = 0;
  std::unique_ptr<Unpacker> unpacker_;
  std::string bytes_;
  std::string_view packed_;  // of bytes_, not unpacked yet
  bool damaged_ = false;
};

BlockReader::BlockReader(Files& files, Path path, RecordRule rule, std::size_t limit)
    : source_(std::make_unique<Source>(files, std::move(path))),
      rule_(std::move(rule)),
      limit_(limit) {}

BlockReader::~BlockReader() = default;

// Where the record that holds `from` ends, its delimiter included; npos when its end is not there.
std::size_t BlockReader::end_of_record(std::string_view text, std::size_t from) const {
  using Kind = RecordRule::Kind;
  if (rule_.kind == Kind::separator) {
    const std::size_t at = text.find(rule_.separator, from);
    return at == std::string_view::npos ? at : at + rule_.separator.size();
  }
  std::size_t line = text.find('\n', from);
  if (rule_.kind != Kind::blank_lines) return line == std::string_view::npos ? line : line + 1;
  for (; line != std::string_view::npos; line = text.find('\n', line + 1)) {
    std::size_t at = line + 1;
    while (at < text.size() && at - line < kLongestBlank && blank(text[at])) ++at;
    if (at < text.size() && text[at] == '\n') return at + 1;
  }
  return line;
}

// Notes the whole records of `text`, which begins where one does; returns where they end.
std::size_t BlockReader::cut(Block& block, std::string_view text, bool last) {
  using Kind = RecordRule::Kind;
  std::size_t from = 0;
  const bool counts_lines = rule_.kind == Kind::lines || rule_.kind == Kind::json_lines;
  while (from < text.size()) {
    std::size_t end = end_of_record(text, from);
    std::size_t content = end;
    if (end == std::string_view::npos) {
      if (!last) break;
      content = end = text.size();
    } else if (rule_.kind == Kind::separator) {
      content = end - rule_.separator.size();
    }
    std::string_view record = text.substr(from, content - from);
    if (rule_.kind != Kind::separator)
      while (!record.empty() && (record.back() == '\n' || blank(record.back())))
        record.remove_suffix(1);
    const bool text_there = holds_text(record);
    if (counts_lines || text_there) ++number_;
    const bool too_large = record.size() > limit_;
    if (text_there) block.records.push_back({number_, from, record.size(), too_large});
    from = end;
  }
  return from;
}

Result<std::optional<Block>> BlockReader::next() {
  if (ended_) return std::optional<Block>();
  Block block;
  std::string text = std::move(carried_);
  carried_.clear();
  while (true) {
    // Twice as much each time, but no more than tells that a record is too long.
    const std::size_t room = limit_ + 1 - std::min(text.size(), limit_);
    Result<bool> more = source_->append(text, std::min(std::max(kPiece, text.size()), room));
    if (!more) {
      damaged_ = source_->damaged();
      return std::move(more).error();
    }
    ended_ = !*more;
    if (passing_over_) {
      const std::size_t end = end_of_record(text, 0);
      passing_over_ = end == std::string::npos && !ended_;
      text.erase(0, end == std::string::npos ? text.size() - tail(text) : end);
      if (passing_over_) continue;
      if (end == std::string::npos) text.clear();
    }
    const std::size_t used = cut(block, text, ended_);
    block.read = source_->read_so_far();
    if (used == 0 && !ended_) {
      if (text.size() <= limit_) continue;
      block.records.push_back({++number_, 0, 0, true});
      passing_over_ = true;
      carried_ = text.substr(text.size() - tail(text));
      return std::optional(std::move(block));
    }
    carried_ = text.substr(used);
    text.resize(used);
    block.bytes = std::move(text);
    return std::optional(std::move(block));
  }
}

// Bytes at the end of `text` that may belong to a delimiter whose rest has not been read.
std::size_t BlockReader::tail(std::string_view text) const {
  using Kind = RecordRule::Kind;
  if (rule_.kind == Kind::separator) return std::min(text.size(), rule_.separator.size() - 1);
  return rule_.kind == Kind::blank_lines ? std::min(text.size(), kLongestBlank) : 0;
}

}  // namespace ration::data
