#pragma once

// How far the writing of a folder got, so that the next process goes on where a killed one stopped:
// <folder>.tmp/journal.jsonl, whose lines prove themselves (base/crc_line.h).

#include <memory>
#include <optional>
#include <string>

#include "data/manifest.h"

namespace ration::data {

// Everything before `documents` (of Corpus::documents) is in the files that the infos describe.
struct WrittenSoFar {
  std::size_t documents = 0;
  ShardInfo train;
  ShardInfo val;
};

struct JournalContents {
  std::string tokenizer_sha256;         // of tokenizer.model; empty for bytes
  std::optional<WrittenSoFar> written;  // nothing before the first checkpoint
};

class Journal {
 public:
  // What the journal of `folder` says, if it is one of the work that `key` names.
  static std::optional<JournalContents> read(Files& files,
                                             const Path& folder,
                                             const std::string& key);
  // Begins a journal, in place of an older one.
  static Result<Journal> create(Files& files,
                                const Path& folder,
                                const std::string& key,
                                const std::string& tokenizer_sha256);
  // Goes on with the one that read() read.
  static Result<Journal> go_on(Files& files, const Path& folder);
  static Result<void> remove(Files& files, const Path& folder);

  // On the disk when it returns.
  Result<void> note(const WrittenSoFar& written);

 private:
  explicit Journal(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}

  std::unique_ptr<AppendFile> file_;
};

}  // namespace ration::data
