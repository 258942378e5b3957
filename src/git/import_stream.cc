#include "git/import_stream.h"

#include <fmt/format.h>

#include <charconv>

namespace ration::git {
namespace {

using Kind = StreamPart::Kind;

constexpr std::string_view kAttributes = ".gitattributes";
constexpr std::size_t kBuffer = std::size_t{1} << 20;

Error unexpected(std::string_view line) {
  return {.kind = ErrorKind::internal,
          .what = fmt::format("git fast-export printed what is not known: {}", line.substr(0, 80))};
}

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && end == text.data() + text.size();
}

// The byte of an escape whose letter or first digit is `c`; -1 for unknown ones.
int escaped(char c) {
  constexpr std::string_view kLetters = "abfnrtv\"\\";
  constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\"\\";
  const std::size_t i = kLetters.find(c);
  return i == std::string_view::npos ? -1 : static_cast<unsigned char>(kBytes[i]);
}

// "M <mode> <id> <path>"
Result<StreamPart> read_change(std::string_view text, std::string_view line) {
  StreamPart part{.kind = Kind::change, .text = text};
  const std::size_t mode = 2;
  const std::size_t blob = line.find(' ', mode) + 1;
  const std::size_t path = line.find(' ', blob) + 1;
  if (blob == 0 || path == 0) return unexpected(line);
  part.mode = line.substr(mode, blob - mode - 1);
  part.blob = line.substr(blob, path - blob - 1);
  Result<std::string> name = unquoted_path(line.substr(path));
  if (!name) return std::move(name).error();
  part.path = std::move(*name);
  return part;
}

}  // namespace

Result<std::string> unquoted_path(std::string_view text) {
  if (!text.starts_with('"')) return std::string(text);
  if (text.size() < 2 || !text.ends_with('"')) return unexpected(text);
  const std::string_view inside = text.substr(1, text.size() - 2);
  std::string path;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      path += inside[i];
      continue;
    }
    if (++i == inside.size()) return unexpected(text);
    int byte = escaped(inside[i]);
    if (byte < 0) {
      const std::string_view digits = inside.substr(i, 3);
      const auto [end, code] =
          std::from_chars(digits.data(), digits.data() + digits.size(), byte, 8);
      if (digits.size() != 3 || end != digits.data() + 3 || byte < 0 || byte > 255)
        return unexpected(text);
      i += 2;
    }
    path += static_cast<char>(byte);
  }
  return path;
}

Result<StreamPart> StreamReader::next() {
  if (rest_.empty()) return StreamPart{};
  const std::size_t end = rest_.find('\n');
  if (end == std::string_view::npos) return unexpected(rest_);
  const std::string_view line = rest_.substr(0, end);
  std::string_view text = rest_.substr(0, end + 1);
  StreamPart part{.kind = Kind::other};
  if (line.empty()) {
    part.kind = Kind::blank;
  } else if (line.starts_with("data ")) {
    std::uint64_t bytes = 0;
    if (!read_number(line.substr(5), bytes) || bytes > rest_.size() - text.size())
      return unexpected(line);
    text = rest_.substr(0, text.size() + bytes);
  } else if (line.starts_with("M ")) {
    Result<StreamPart> change = read_change(text, line);
    if (!change) return change;
    part = std::move(*change);
  } else if (line.starts_with("D ")) {
    Result<std::string> path = unquoted_path(line.substr(2));
    if (!path) return std::move(path).error();
    part.kind = Kind::removal;
    part.path = std::move(*path);
  } else if (line.starts_with("mark :")) {
    if (!read_number(line.substr(6), part.mark)) return unexpected(line);
    part.kind = Kind::mark;
  } else if (line.starts_with("commit ")) {
    part.kind = Kind::commit;
  } else if (line.starts_with("from ")) {
    part.kind = Kind::parent;
  } else if (line.starts_with("R ") || line.starts_with("C ")) {
    return unexpected(line);  // was not asked for
  }
  part.text = text;
  rest_.remove_prefix(text.size());
  return part;
}

Result<void> rewrite_stream(std::string_view stream,
                            const StreamChanges& changes,
                            const TextSink& write) {
  const std::string added = fmt::format("M 100644 {} {}\n", changes.attributes, kAttributes);
  StreamReader reader(stream);
  bool lacks_attributes = false;  // within a commit that has no parent to have them from
  for (;;) {
    const Result<StreamPart> part = reader.next();
    if (!part) return part.error();
    std::string text(part->text);
    const bool attributes = part->path == kAttributes;
    if (part->kind == Kind::commit) lacks_attributes = true;
    if (part->kind == Kind::parent || (part->kind == Kind::change && attributes))
      lacks_attributes = false;
    if (part->kind == Kind::removal && attributes) text = added;
    if (part->regular())
      if (const std::string content = changes.content(*part); !content.empty())
        text.replace(static_cast<std::size_t>(part->blob.data() - part->text.data()),
                     part->blob.size(),
                     content);
    const bool ends = part->kind == Kind::blank || part->kind == Kind::end;
    if (ends && lacks_attributes) {
      text = added + text;
      lacks_attributes = false;
    }
    if (Result<void> done = write(text); !done) return done;
    if (part->kind == Kind::end) return {};
  }
}

Result<StreamFile> StreamFile::create(const Path& path) {
  Result<std::unique_ptr<AppendFile>> file = real_files().open_append(path);
  if (!file) return std::move(file).error();
  return StreamFile(std::move(*file));
}

Result<void> StreamFile::write(std::string_view text) {
  waiting_ += text;
  return waiting_.size() < kBuffer ? Result<void>() : flush();
}

Result<void> StreamFile::flush() {
  Result<void> done = file_->append(waiting_);
  waiting_.clear();
  return done;
}

Result<std::string> StreamFile::blob(std::string_view text) {
  std::string mark = fmt::format(":{}", ++last_mark_);
  Result<void> done = write(fmt::format("blob\nmark {}\ndata {}\n{}\n", mark, text.size(), text));
  if (!done) return std::move(done).error();
  return mark;
}

}  // namespace ration::git
