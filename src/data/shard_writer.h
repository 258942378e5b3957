#pragma once

// Writes one split in pieces of whole documents, holding a buffer of each file and no more.

#include <memory>
#include <span>
#include <string>

#include "base/background_hash.h"
#include "data/manifest.h"

namespace ration::data {

// A file written from front to back with its digest.
class HashedFile {
 public:
  static Result<HashedFile> create(Files& files, const Path& path);
  // Goes on behind the first `bytes` bytes of a file, whose digest must be `digest`; what stands
  // behind them is cut off. Error (ErrorKind::input): the file is shorter, or other bytes.
  static Result<HashedFile> go_on(Files& files,
                                  const Path& path,
                                  std::uint64_t bytes,
                                  const std::string& digest);

  Result<void> append(std::string_view bytes);
  // A large block is hashed while it is written, and may be in use until some more followed.
  Result<void> append(BackgroundHash::Block block);
  // Writes what is buffered, syncs, and returns the digest of all of it.
  Result<std::string> checkpoint();

 private:
  explicit HashedFile(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}
  Result<void> flush();
  Sha256 digest();

  std::unique_ptr<AppendFile> file_;
  std::string buffer_;
  Sha256 hash_;                                 // until background_ takes over
  std::unique_ptr<BackgroundHash> background_;  // from the first large block on
};

class ShardWriter {
 public:
  // Creates <folder>/<name>.tokens and <folder>/<name>.docs.
  static Result<ShardWriter> create(Files& files,
                                    const Path& folder,
                                    const std::string& name,
                                    int token_bytes);
  // Goes on behind what checkpoint() described. Error (ErrorKind::input): other files.
  static Result<ShardWriter> go_on(Files& files,
                                   const Path& folder,
                                   const std::string& name,
                                   int token_bytes,
                                   const ShardInfo& written);

  // Whole documents: their tokens as the file holds them, end tokens included, and the number of
  // tokens of each.
  Result<void> append(BackgroundHash::Block tokens, std::span<const std::uint64_t> lengths);
  // What the files hold so far, on the disk when it returns.
  Result<ShardInfo> checkpoint();
  Result<ShardInfo> finish();

 private:
  ShardWriter(HashedFile tokens, HashedFile starts, int token_bytes)
      : tokens_(std::move(tokens)), starts_(std::move(starts)), token_bytes_(token_bytes) {}

  HashedFile tokens_;
  HashedFile starts_;
  int token_bytes_;
  ShardInfo info_;
};

}  // namespace ration::data
