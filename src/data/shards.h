#pragma once

// The trainer's view of prepared data: token ids, memory-mapped, and where documents begin. No
// text, no tokenizer.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/manifest.h"

namespace ration::data {

enum class Split { train, val };

// Tokens of one split in the order of the files. Cheap to open; reads through the page cache.
// Threads: const use is safe.
class TokenPool {
 public:
  // Errors (ErrorKind::input): a missing or short file, document starts that are not ascending, a
  // size that disagrees with the manifest. The digests are checked by verify(), which reads
  // everything.
  static Result<TokenPool> open(Files& files,
                                const Path& folder,
                                const Manifest& manifest,
                                Split split);

  std::int64_t tokens() const { return expected_.tokens; }
  std::span<const std::uint64_t> document_starts() const;  // documents + 1 entries

  // Copies tokens [begin, begin + out.size()) as 32-bit ids; the range must lie in [0, tokens()].
  void copy(std::int64_t begin, std::span<std::int32_t> out) const;

  // Reads the files whole and compares their digests with the manifest. Cost: 0.3 to
  // 1.8 GB a second.
  Result<void> verify() const;

 private:
  std::shared_ptr<const MappedFile> token_file_;
  std::shared_ptr<const MappedFile> document_file_;
  int token_bytes_ = 2;
  ShardInfo expected_;
  Path token_path_;
  Path document_path_;
};

// A contiguous sequence of tokens made of whole documents of a pool, the last one truncated: the
// unique data of a run. All documents are permuted with (subset_seed, StreamId::documents); the
// shortest prefix that holds unique_tokens + 1 tokens is taken (one token more than asked for, so
// that every window has its last target). A smaller subset is the beginning of a larger one of the
// same seed. unique_tokens = 0 takes the whole pool, in that order. Errors (ErrorKind::input): the
// pool is too small (names both numbers), or has 2^32 documents or more.
Result<std::vector<std::int32_t>> unique_subset(const TokenPool& pool,
                                                std::int64_t unique_tokens,
                                                std::uint64_t subset_seed);

// Unique training tokens that a pool can give at this context: whole windows times context.
std::int64_t usable_tokens(std::int64_t pool_tokens, std::int64_t context);

}  // namespace ration::data
