#include "data/shard_writer.h"

#include <fmt/format.h>

#include "data/tokenizer.h"

namespace ration::data {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 18;
constexpr std::size_t kUnhashed = std::size_t{8} << 20;  // bytes that hashing may be behind

}  // namespace

Result<HashedFile> HashedFile::create(Files& files, const Path& path) {
  Result<std::unique_ptr<AppendFile>> file = files.open_append(path);
  if (!file) return std::move(file).error();
  return HashedFile(*std::move(file));
}

Result<HashedFile> HashedFile::go_on(Files& files,
                                     const Path& path,
                                     std::uint64_t bytes,
                                     const std::string& digest) {
  const Error other{.kind = ErrorKind::input,
                    .what = fmt::format("{} is not what was written", path.string())};
  const Result<std::uint64_t> size = files.size(path);
  if (!size || *size < bytes) return other;
  if (Result<void> done = files.truncate(path, bytes); !done) return std::move(done).error();
  Sha256 hash;
  if (bytes > 0) {
    Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
    if (!mapped) return std::move(mapped).error();
    hash.update((*mapped)->bytes());
  }
  if (Sha256(hash).hex() != digest) return other;
  Result<HashedFile> file = create(files, path);
  if (file) file->hash_ = hash;
  return file;
}

Result<void> HashedFile::append(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBuffer ? Result<void>() : flush();
}

Result<void> HashedFile::append(BackgroundHash::Block block) {
  if (block->size() < kBuffer) return append(std::string_view(*block));
  if (Result<void> done = flush(); !done) return done;
  if (background_ == nullptr) background_ = std::make_unique<BackgroundHash>(hash_);
  background_->update(block);
  Result<void> done = file_->append(*block);
  background_->wait(kUnhashed);
  return done;
}

Result<void> HashedFile::flush() {
  if (buffer_.empty()) return {};
  if (background_ == nullptr)
    hash_.update(buffer_);
  else
    background_->update(std::make_shared<const std::string>(buffer_));
  Result<void> done = file_->append(buffer_);
  buffer_.clear();
  return done;
}

Sha256 HashedFile::digest() { return background_ == nullptr ? hash_ : background_->result(); }

Result<std::string> HashedFile::checkpoint() {
  if (Result<void> done = flush(); !done) return std::move(done).error();
  if (Result<void> done = file_->sync(); !done) return std::move(done).error();
  return digest().hex();
}

Result<ShardWriter> ShardWriter::create(Files& files,
                                        const Path& folder,
                                        const std::string& name,
                                        int token_bytes) {
  Result<HashedFile> tokens = HashedFile::create(files, folder / (name + ".tokens"));
  if (!tokens) return std::move(tokens).error();
  Result<HashedFile> starts = HashedFile::create(files, folder / (name + ".docs"));
  if (!starts) return std::move(starts).error();
  return ShardWriter(*std::move(tokens), *std::move(starts), token_bytes);
}

Result<ShardWriter> ShardWriter::go_on(Files& files,
                                       const Path& folder,
                                       const std::string& name,
                                       int token_bytes,
                                       const ShardInfo& written) {
  const auto width = static_cast<std::uint64_t>(token_bytes);
  Result<HashedFile> tokens = HashedFile::go_on(files,
                                                folder / (name + ".tokens"),
                                                static_cast<std::uint64_t>(written.tokens) * width,
                                                written.tokens_sha256);
  if (!tokens) return std::move(tokens).error();
  Result<HashedFile> starts = HashedFile::go_on(files,
                                                folder / (name + ".docs"),
                                                static_cast<std::uint64_t>(written.documents) * 8,
                                                written.docs_sha256);
  if (!starts) return std::move(starts).error();
  ShardWriter writer(*std::move(tokens), *std::move(starts), token_bytes);
  writer.info_ = written;
  return writer;
}

Result<void> ShardWriter::append(BackgroundHash::Block tokens,
                                 std::span<const std::uint64_t> lengths) {
  std::string starts;
  for (const std::uint64_t length : lengths) {
    put_little_endian(starts, static_cast<std::uint64_t>(info_.tokens), 8);
    info_.tokens += static_cast<std::int64_t>(length);
    ++info_.documents;
  }
  if (Result<void> done = starts_.append(starts); !done) return done;
  return tokens_.append(std::move(tokens));
}

Result<ShardInfo> ShardWriter::checkpoint() {
  Result<std::string> tokens = tokens_.checkpoint();
  if (!tokens) return std::move(tokens).error();
  Result<std::string> starts = starts_.checkpoint();
  if (!starts) return std::move(starts).error();
  info_.tokens_sha256 = *std::move(tokens);
  info_.docs_sha256 = *std::move(starts);
  return info_;
}

Result<ShardInfo> ShardWriter::finish() {
  std::string total;
  put_little_endian(total, static_cast<std::uint64_t>(info_.tokens), 8);
  if (Result<void> done = starts_.append(total); !done) return std::move(done).error();
  return checkpoint();
}

}  // namespace ration::data
