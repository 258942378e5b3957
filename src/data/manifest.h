#pragma once

// What a folder of prepared data holds; the first thing that the scheduler and the trainer read of
// it.
//
//   <folder>/manifest.json   this page, canonical JSON; its digest is the identity of the data
//   <folder>/train.tokens, val.tokens   little-endian token ids, uint16 when vocab <= 65535, else
//   uint32 <folder>/train.docs, val.docs       little-endian uint64: start of each document in
//   tokens, then the total <folder>/tokenizer.model            SentencePiece model, unless the
//   tokenizer is bytes

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace ration::data {

// One source file as it was read.
struct SourceFile {
  std::string path;  // relative to the text folder
  std::uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const SourceFile&) const = default;
};

// One token file with its documents.
struct ShardInfo {
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  std::string tokens_sha256;
  std::string docs_sha256;
  bool operator==(const ShardInfo&) const = default;
};

struct Manifest {
  std::string tokenizer;         // "bytes", "bpe:4096", "unigram:8000"
  std::string tokenizer_sha256;  // empty for bytes
  std::int64_t vocab = 0;        // ids are 0 … vocab-1
  std::int64_t end_token = 0;    // joins documents
  ShardInfo train;
  ShardInfo val;
  std::int64_t train_text_bytes = 0;  // for bits per byte
  std::int64_t val_text_bytes = 0;
  std::int64_t duplicates_removed = 0;  // training documents equal to a held-out one
  Json provenance = Json::object();     // package, version, licence, options of the preparation
  std::vector<SourceFile> sources;
  std::string digest;  // SHA-256 of the canonical JSON of all that decides which tokens are seen;
                       // not of paths or dates

  // Bytes of one stored token: 2 or 4.
  int token_bytes() const { return vocab <= 65535 ? 2 : 4; }
};

// Reads and checks <folder>/manifest.json, without reading the shards.
Result<Manifest> read_manifest(Files& files, const Path& folder);

// Text of manifest.json; sets nothing but what the manifest holds (digest included, see
// manifest_digest).
Result<std::string> manifest_text(const Manifest& manifest);
std::string manifest_digest(const Manifest& manifest);

}  // namespace ration::data
