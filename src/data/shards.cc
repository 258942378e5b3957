#include "data/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/hash.h"
#include "base/random.h"

namespace ration::data {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are mapped as they are");

constexpr const char* kPrepareAgain =
    "prepare the data again with `ration data prepare … --replace`";

Error damaged(const Path& path, const std::string& how) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("damaged data: {} {}", path.string(), how),
          .hint = kPrepareAgain};
}

Result<std::shared_ptr<const MappedFile>> map_sized(Files& files,
                                                    const Path& path,
                                                    std::uint64_t expected_bytes) {
  Result<std::unique_ptr<MappedFile>> file = files.map(path);
  if (!file) return std::move(file).error().with_context("while opening prepared data");
  const std::uint64_t bytes = (*file)->bytes().size();
  if (bytes != expected_bytes)
    return damaged(path,
                   fmt::format("has {} bytes where its manifest says {}", bytes, expected_bytes));
  return std::shared_ptr<const MappedFile>(*std::move(file));
}

template <class Id>
void widen(std::span<const std::byte> bytes, std::span<std::int32_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Id id = 0;
    std::memcpy(&id, bytes.data() + i * sizeof id, sizeof id);
    out[i] = static_cast<std::int32_t>(id);
  }
}

Result<void> check_digest(const MappedFile& file, const Path& path, const std::string& expected) {
  Sha256 hash;
  hash.update(file.bytes());
  const std::string found = hash.hex();
  if (found != expected)
    return damaged(
        path, fmt::format("has the digest {:.12}…, its manifest says {:.12}…", found, expected));
  return {};
}

}  // namespace

Result<TokenPool> TokenPool::open(Files& files,
                                  const Path& folder,
                                  const Manifest& manifest,
                                  Split split) {
  const std::string name = split == Split::train ? "train" : "val";
  TokenPool pool;
  pool.expected_ = split == Split::train ? manifest.train : manifest.val;
  pool.token_bytes_ = manifest.token_bytes();
  pool.token_path_ = folder / (name + ".tokens");
  pool.document_path_ = folder / (name + ".docs");
  const auto tokens = static_cast<std::uint64_t>(pool.expected_.tokens);
  const auto documents = static_cast<std::uint64_t>(pool.expected_.documents);

  auto token_file =
      map_sized(files, pool.token_path_, tokens * static_cast<std::uint64_t>(pool.token_bytes_));
  if (!token_file) return std::move(token_file).error();
  auto document_file =
      map_sized(files, pool.document_path_, (documents + 1) * sizeof(std::uint64_t));
  if (!document_file) return std::move(document_file).error();
  pool.token_file_ = *std::move(token_file);
  pool.document_file_ = *std::move(document_file);

  const std::span<const std::uint64_t> starts = pool.document_starts();
  const bool ascending =
      std::adjacent_find(starts.begin(), starts.end(), std::greater_equal<>()) == starts.end();
  if (starts.front() != 0 || starts.back() != tokens || !ascending)
    return damaged(pool.document_path_,
                   "does not list document starts from 0 up to the token count");
  return pool;
}

std::span<const std::uint64_t> TokenPool::document_starts() const {
  const std::span<const std::byte> bytes = document_file_->bytes();
  return {reinterpret_cast<const std::uint64_t*>(bytes.data()),
          bytes.size() / sizeof(std::uint64_t)};
}

void TokenPool::copy(std::int64_t begin, std::span<std::int32_t> out) const {
  const std::span<const std::byte> bytes =
      token_file_->bytes().subspan(static_cast<std::size_t>(begin * token_bytes_),
                                   out.size() * static_cast<std::size_t>(token_bytes_));
  if (token_bytes_ == 2)
    widen<std::uint16_t>(bytes, out);
  else
    widen<std::uint32_t>(bytes, out);
}

Result<void> TokenPool::verify() const {
  if (auto done = check_digest(*token_file_, token_path_, expected_.tokens_sha256); !done)
    return done;
  return check_digest(*document_file_, document_path_, expected_.docs_sha256);
}

Result<std::vector<std::int32_t>> unique_subset(const TokenPool& pool,
                                                std::int64_t unique_tokens,
                                                std::uint64_t subset_seed) {
  const std::span<const std::uint64_t> starts = pool.document_starts();
  const std::size_t documents = starts.size() - 1;
  if (documents > std::numeric_limits<std::uint32_t>::max())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} documents are more than a subset can order", documents),
                 .hint = "join short documents before preparing the data"};
  if (unique_tokens < 0 || unique_tokens >= pool.tokens())
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} unique tokens asked for, but the training data gives at most {}",
                            unique_tokens,
                            pool.tokens() - 1),
        .hint = "ask for fewer unique tokens, or prepare more text"};

  const std::int64_t wanted = unique_tokens == 0 ? pool.tokens() : unique_tokens + 1;
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(wanted));
  std::size_t filled = 0;
  for (const std::uint32_t document : permutation(static_cast<std::uint32_t>(documents),
                                                  Stream(subset_seed, StreamId::documents))) {
    const std::uint64_t length = starts[document + 1] - starts[document];
    const std::size_t take = std::min<std::size_t>(length, tokens.size() - filled);
    pool.copy(static_cast<std::int64_t>(starts[document]), std::span(tokens).subspan(filled, take));
    filled += take;
    if (filled == tokens.size()) break;
  }
  return tokens;
}

std::int64_t usable_tokens(std::int64_t pool_tokens, std::int64_t context) {
  return pool_tokens < 1 ? 0 : (pool_tokens - 1) / context * context;
}

}  // namespace ration::data
