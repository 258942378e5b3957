#include "data/shard_writer.h"

namespace ration::data {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;

void put_little_endian(std::string& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

std::string start_bytes(std::int64_t tokens) {
  std::string bytes;
  put_little_endian(bytes, static_cast<std::uint64_t>(tokens), 8);
  return bytes;
}

}  // namespace

Result<HashedFile> HashedFile::create(Files& files, const Path& path) {
  Result<std::unique_ptr<AppendFile>> file = files.open_append(path);
  if (!file) return std::move(file).error();
  return HashedFile(*std::move(file));
}

Result<void> HashedFile::append(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBuffer ? Result<void>() : flush();
}

Result<void> HashedFile::flush() {
  hash_.update(std::string_view(buffer_));
  Result<void> done = file_->append(buffer_);
  buffer_.clear();
  return done;
}

Result<std::string> HashedFile::finish() {
  if (Result<void> done = flush(); !done) return std::move(done).error();
  if (Result<void> done = file_->sync(); !done) return std::move(done).error();
  return hash_.hex();
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

Result<void> ShardWriter::append(std::span<const std::uint32_t> tokens) {
  std::string bytes;
  bytes.reserve(tokens.size() * static_cast<std::size_t>(token_bytes_));
  for (const std::uint32_t token : tokens) put_little_endian(bytes, token, token_bytes_);
  info_.tokens += static_cast<std::int64_t>(tokens.size());
  return tokens_.append(bytes);
}

Result<void> ShardWriter::end_document(std::uint32_t end_token) {
  const std::int64_t start = document_start_;
  if (Result<void> done = append({&end_token, 1}); !done) return done;
  document_start_ = info_.tokens;
  ++info_.documents;
  return starts_.append(start_bytes(start));
}

Result<ShardInfo> ShardWriter::finish() {
  if (Result<void> done = starts_.append(start_bytes(info_.tokens)); !done)
    return std::move(done).error();
  Result<std::string> tokens = tokens_.finish();
  if (!tokens) return std::move(tokens).error();
  Result<std::string> starts = starts_.finish();
  if (!starts) return std::move(starts).error();
  info_.tokens_sha256 = *std::move(tokens);
  info_.docs_sha256 = *std::move(starts);
  return info_;
}

}  // namespace ration::data
