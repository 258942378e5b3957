#include "data/pool_builder.h"

#include <stdexcept>

#include "base/hash.h"

namespace ration::test {
namespace {

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

data::ShardInfo write_split(const Path& folder,
                            const std::string& name,
                            const Documents& documents,
                            int token_bytes) {
  std::string tokens;
  std::string starts = little_endian(0, 8);
  std::uint64_t total = 0;
  for (const auto& document : documents) {
    for (const std::uint32_t token : document) tokens += little_endian(token, token_bytes);
    total += document.size();
    starts += little_endian(total, 8);
  }
  for (const auto& [suffix, bytes] : {std::pair{".tokens", tokens}, std::pair{".docs", starts}})
    if (!real_files().write_whole(folder / (name + suffix), bytes))
      throw std::runtime_error("cannot write the test's data");
  return {.tokens = static_cast<std::int64_t>(total),
          .documents = static_cast<std::int64_t>(documents.size()),
          .tokens_sha256 = sha256_hex(tokens),
          .docs_sha256 = sha256_hex(starts)};
}

}  // namespace

data::Manifest write_pool(const Path& folder,
                          const Documents& documents,
                          std::int64_t vocab,
                          const Documents& held_out) {
  data::Manifest manifest;
  manifest.tokenizer = "bytes";
  manifest.vocab = vocab;
  manifest.end_token = vocab - 1;
  manifest.train = write_split(folder, "train", documents, manifest.token_bytes());
  manifest.val = write_split(folder, "val", held_out, manifest.token_bytes());
  manifest.train_text_bytes = manifest.train.tokens;
  manifest.val_text_bytes = manifest.val.tokens;
  manifest.digest = data::manifest_digest(manifest);
  Result<std::string> text = data::manifest_text(manifest);
  if (!text || !real_files().write_whole(folder / "manifest.json", *text))
    throw std::runtime_error("cannot write the test's manifest");
  return manifest;
}

data::TokenPool open_train_pool(const Path& folder) {
  Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) throw std::runtime_error(manifest.error().describe());
  Result<data::TokenPool> pool =
      data::TokenPool::open(real_files(), folder, *manifest, data::Split::train);
  if (!pool) throw std::runtime_error(pool.error().describe());
  return *std::move(pool);
}

}  // namespace ration::test
