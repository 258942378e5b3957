#pragma once

// History as `git fast-export --no-data` prints it and `git fast-import` reads it: commits with the
// files that they change, named by the ids of their blobs.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/files.h"

namespace ration::git {

// A part of the stream. `text` is all of it, its newline included.
struct StreamPart {
  enum class Kind {
    commit,   // begins one
    parent,   // its first parent; a commit without is a root
    change,   // a file gets a content and a mode
    removal,  // a file goes
    blank,    // ends a commit
    mark,     // names a commit or a tag by a number
    other,    // all else; with the bytes that belong to it
    end
  };
  Kind kind = Kind::end;
  std::string_view text = {};
  std::string_view mode = {};  // of a change: "100644"
  std::string_view blob = {};
  std::string path = {};  // of a change or removal, as it is in the tree
  std::uint64_t mark = 0;

  // A file with content of its own: neither a link nor a submodule.
  bool regular() const { return kind == Kind::change && mode.starts_with("100"); }
};

class StreamReader {
 public:
  // The text must outlive it and its parts.
  explicit StreamReader(std::string_view text) : rest_(text) {}
  // ErrorKind::internal for what git does not print.
  Result<StreamPart> next();

 private:
  std::string_view rest_;
};

// A path in quotes as git prints it, with escapes, or as it is. ErrorKind::internal for quotes that
// do not end and unknown escapes.
Result<std::string> unquoted_path(std::string_view text);

struct StreamChanges {
  // What stands in the place of the blob of a change: a blob's id or ":mark"; empty = the same.
  std::function<std::string(const StreamPart&)> content;
  // The .gitattributes at the top, for commits that would have none: as above.
  std::string attributes;
};

using TextSink = std::function<Result<void>(std::string_view)>;

// Writes the stream anew.
Result<void> rewrite_stream(std::string_view stream,
                            const StreamChanges& changes,
                            const TextSink& write);

// A stream on its way into a file.
class StreamFile {
 public:
  static Result<StreamFile> create(const Path& path);

  Result<void> write(std::string_view text);
  // A blob of its own; how commits refer to it. Behind `feature` lines, before the commits.
  Result<std::string> blob(std::string_view text);
  // Marks of blobs follow this one.
  void set_last_mark(std::uint64_t mark) { last_mark_ = mark; }
  // Call at the end.
  Result<void> flush();

 private:
  explicit StreamFile(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}

  std::unique_ptr<AppendFile> file_;
  std::string waiting_;
  std::uint64_t last_mark_ = 0;
};

}  // namespace ration::git
