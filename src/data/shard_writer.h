#pragma once

// Writes one split, document by document, holding a buffer of each file and no more.

#include <memory>
#include <span>
#include <string>

#include "base/hash.h"
#include "data/manifest.h"

namespace ration::data {

// A file written from front to back with its digest.
class HashedFile {
 public:
  static Result<HashedFile> create(Files& files, const Path& path);

  Result<void> append(std::string_view bytes);
  // Writes what is buffered, syncs, and returns the digest. The file is complete then.
  Result<std::string> finish();

 private:
  explicit HashedFile(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}
  Result<void> flush();

  std::unique_ptr<AppendFile> file_;
  std::string buffer_;
  Sha256 hash_;
};

class ShardWriter {
 public:
  // Creates <folder>/<name>.tokens and <folder>/<name>.docs.
  static Result<ShardWriter> create(Files& files,
                                    const Path& folder,
                                    const std::string& name,
                                    int token_bytes);

  Result<void> append(std::span<const std::uint32_t> tokens);
  Result<void> end_document(std::uint32_t end_token);
  Result<ShardInfo> finish();

 private:
  ShardWriter(HashedFile tokens, HashedFile starts, int token_bytes)
      : tokens_(std::move(tokens)), starts_(std::move(starts)), token_bytes_(token_bytes) {}

  HashedFile tokens_;
  HashedFile starts_;
  int token_bytes_;
  ShardInfo info_;
  std::int64_t document_start_ = 0;
};

}  // namespace ration::data
