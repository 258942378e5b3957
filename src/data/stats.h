#pragma once

// What a person looks at before training: how much text there is, how often it repeats, how long
// its documents are, and which tokens it is made of.

#include <array>
#include <cstdint>
#include <vector>

#include "data/shards.h"
#include "data/tokenizer.h"

namespace ration::data {

struct TokenCount {
  std::uint32_t id = 0;
  std::int64_t count = 0;
};

struct SplitStats {
  std::int64_t tokens = 0;  // end tokens included
  std::int64_t documents = 0;
  std::int64_t tokens_used = 0;  // different ids that occur
  std::int64_t duplicates = 0;   // documents whose tokens are those of an earlier document
  std::int64_t duplicate_tokens = 0;
  double entropy_bits = 0;  // of single tokens, bits a token
  double zlib_ratio = 0;    // compressed size ÷ size of a sample of the text, level 6
  std::int64_t zlib_sample_bytes = 0;
  std::vector<std::int64_t> lengths;           // tokens a document at kQuantiles
  std::vector<std::int64_t> length_histogram;  // documents of 2^i … 2^(i+1) − 1 tokens
  std::vector<TokenCount> frequent;  // all that occur, the most frequent first, lowest id first
};

inline constexpr std::array<double, 7> kQuantiles = {0, 0.05, 0.25, 0.5, 0.75, 0.95, 1};

// Reads the pool once. Equal documents are found by 64 bits of a hash of their tokens. The sample
// of the text is 16 MiB of documents spread evenly. Memory: the sample, 16 bytes a document, 16 an
// id.
Result<SplitStats> split_stats(const TokenPool& pool,
                               std::int64_t vocab,
                               const Tokenizer& tokenizer);

// The tokenizer of a prepared folder. Error (ErrorKind::input): its model is missing or changed.
Result<std::unique_ptr<Tokenizer>> tokenizer_of(Files& files,
                                                const Path& folder,
                                                const Manifest& manifest);

// Tokens of one document without its end token, decoded.
Result<std::string> document_text(const TokenPool& pool,
                                  const Tokenizer& tokenizer,
                                  std::size_t document);

}  // namespace ration::data
