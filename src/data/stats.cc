#include "data/stats.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/random.h"
#include "data/prepare.h"

namespace ration::data {
namespace {

constexpr std::int64_t kSampleBytes = std::int64_t{16} << 20;

std::vector<std::int32_t> tokens_of(const TokenPool& pool, std::size_t document) {
  const std::span<const std::uint64_t> starts = pool.document_starts();
  std::vector<std::int32_t> tokens(starts[document + 1] - starts[document]);
  pool.copy(static_cast<std::int64_t>(starts[document]), tokens);
  return tokens;
}

double entropy(const std::vector<std::int64_t>& counts, std::int64_t total) {
  double bits = 0;
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    const double share = static_cast<double>(count) / static_cast<double>(total);
    bits -= share * std::log2(share);
  }
  return bits;
}

std::size_t bucket_of(std::uint64_t length) {
  std::size_t bucket = 0;
  while (length > 1) length >>= 1, ++bucket;
  return bucket;
}

// Documents spread evenly, as many as make up the sample.
Result<std::string> sample_text(const TokenPool& pool, const Tokenizer& tokenizer) {
  const std::size_t documents = pool.document_starts().size() - 1;
  const std::int64_t share = std::max<std::int64_t>(1, pool.tokens() * 4 / kSampleBytes);
  const auto step = static_cast<std::size_t>(share);
  std::string sample;
  for (std::size_t i = 0; i < documents && std::ssize(sample) < kSampleBytes; i += step) {
    Result<std::string> text = document_text(pool, tokenizer, i);
    if (!text) return text;
    sample += *text;
  }
  return sample;
}

double zlib_ratio(const std::string& text) {
  if (text.empty()) return 1;
  constexpr int kLevel = 6;
  uLongf size = compressBound(static_cast<uLong>(text.size()));
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()),
            &size,
            reinterpret_cast<const Bytef*>(text.data()),
            static_cast<uLong>(text.size()),
            kLevel);
  return static_cast<double>(size) / static_cast<double>(text.size());
}

}  // namespace

Result<SplitStats> split_stats(const TokenPool& pool,
                               std::int64_t vocab,
                               const Tokenizer& tokenizer) {
  SplitStats stats{.tokens = pool.tokens()};
  const std::size_t documents = pool.document_starts().size() - 1;
  stats.documents = static_cast<std::int64_t>(documents);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(vocab));
  std::vector<std::int64_t> lengths;
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t i = 0; i < documents; ++i) {
    const std::vector<std::int32_t> tokens = tokens_of(pool, i);
    std::uint64_t hash = tokens.size();
    for (const std::int32_t token : tokens) {
      if (token < 0 || token >= vocab)
        return Error{.kind = ErrorKind::input,
                     .what = "damaged data: a token is not in the vocabulary",
                     .hint = "`ration data info DIR --verify` says which file is damaged"};
      ++counts[static_cast<std::size_t>(token)];
      hash = mix(hash ^ static_cast<std::uint64_t>(token));
    }
    lengths.push_back(std::ssize(tokens));
    const std::size_t bucket = bucket_of(tokens.size());
    if (stats.length_histogram.size() <= bucket) stats.length_histogram.resize(bucket + 1);
    ++stats.length_histogram[bucket];
    if (!seen.insert(hash).second) {
      ++stats.duplicates;
      stats.duplicate_tokens += std::ssize(tokens);
    }
  }
  std::sort(lengths.begin(), lengths.end());
  for (const double quantile : kQuantiles)
    stats.lengths.push_back(lengths[static_cast<std::size_t>(
        std::llround(quantile * static_cast<double>(lengths.size() - 1)))]);
  for (std::size_t id = 0; id < counts.size(); ++id)
    if (counts[id] > 0) stats.frequent.push_back({static_cast<std::uint32_t>(id), counts[id]});
  std::stable_sort(stats.frequent.begin(),
                   stats.frequent.end(),
                   [](const TokenCount& a, const TokenCount& b) { return a.count > b.count; });
  stats.tokens_used = std::ssize(stats.frequent);
  stats.entropy_bits = entropy(counts, stats.tokens);
  Result<std::string> sample = sample_text(pool, tokenizer);
  if (!sample) return std::move(sample).error();
  stats.zlib_sample_bytes = std::ssize(*sample);
  stats.zlib_ratio = zlib_ratio(*sample);
  return stats;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_of(Files& files,
                                                const Path& folder,
                                                const Manifest& manifest) {
  if (manifest.tokenizer_sha256.empty()) return byte_tokenizer();
  if (auto done = verify_tokenizer(files, folder, manifest); !done) return std::move(done).error();
  const Path path = folder / "tokenizer.model";
  Result<std::string> model = files.read(path);
  if (!model) return std::move(model).error();
  return sentencepiece_tokenizer(*std::move(model), path.string());
}

Result<std::string> document_text(const TokenPool& pool,
                                  const Tokenizer& tokenizer,
                                  std::size_t document) {
  std::vector<std::int32_t> tokens = tokens_of(pool, document);
  tokens.pop_back();
  return tokenizer.decode(tokens);
}

}  // namespace ration::data
