#pragma once

// The second pass: texts become tokens on all cores, and the files of both splits, written in
// order.

#include "base/clock.h"
#include "data/journal.h"
#include "data/keep.h"
#include "data/progress.h"
#include "data/tokenizer.h"

namespace ration::data {

struct TokenJob {
  TextReader reader;
  Clock& clock;
  const Tokenizer& tokenizer;
  int token_bytes = 2;
  Path folder;
  const std::map<std::size_t, std::vector<ByteSpan>>& cuts;
  std::optional<WrittenSoFar> written;  // by an earlier process; written anew if it is not there
  double checkpoint_seconds = 5;
  const ProgressSink& progress;
};

struct WrittenShards {
  ShardInfo train;
  ShardInfo val;
  std::int64_t taken_over = 0;  // documents that the earlier process wrote
};

// Writes train.tokens, train.docs, val.tokens and val.docs, whose bytes depend on texts, cuts and
// tokenizer alone, and notes in the journal how far it is. Errors: a text changed
// (ErrorKind::input), the disk is full (ErrorKind::resource).
Result<WrittenShards> write_tokens(const TokenJob& job, Journal& journal);

// The text without the spans.
std::string without(std::string_view text, const std::vector<ByteSpan>& cuts);

}  // namespace ration::data
