#pragma once

// What a folder of prepared data holds; the first thing that the scheduler and the trainer read of
// it. docs/data.md describes every file byte by byte.
//
//   <folder>/manifest.json     this page as canonical JSON; its digest is the identity of the data
//   <folder>/train.tokens      token ids, little-endian, uint16 when vocab <= 65535, else uint32
//   <folder>/train.docs        start of each document in tokens, then the total; little-endian
//   uint64 <folder>/val.tokens, val.docs   the same for the held-out documents
//   <folder>/tokenizer.model   SentencePiece model, unless the tokenizer is bytes
//   <folder>/documents.bin     where documents come from, if a file held several
//   <folder>/dropped.jsonl     a sample of what was left out; for people
//
// Every document ends with the end token, which belongs to it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace ration::data {

// One source file: its text after decompression, and what became of it.
struct SourceFile {
  std::string path;  // relative to the text folder
  std::uint64_t bytes = 0;
  // Of the text; of a file of several documents, of their texts' digests in hex, a line each.
  std::string sha256;
  // "train", "val", "duplicate" (equal to a held-out one, left out) or "filtered" (left out by a
  // filter); empty for a file of several documents.
  std::string use;
  std::map<std::string, std::int64_t> documents = {};  // of such a file: their number by use
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
  std::string tokenizer;         // "bytes", "bpe:4096", "unigram:8000", "model" (an existing file)
  std::string tokenizer_sha256;  // empty for bytes
  std::int64_t vocab = 0;        // ids are 0 … vocab-1
  std::int64_t end_token = 0;    // ends every document
  ShardInfo train;
  ShardInfo val;
  std::int64_t train_text_bytes = 0;  // text behind the tokens, for bits per byte
  std::int64_t val_text_bytes = 0;
  std::int64_t duplicates_removed = 0;  // training documents equal to a held-out one
  Json provenance = Json::object();  // options of the preparation, files skipped, the user's notes
  std::vector<SourceFile> sources;   // in the order of the documents
  std::string documents_sha256;      // of documents.bin; empty when there is none
  std::string digest;                // see manifest_digest

  // Bytes of one stored token: 2 or 4.
  int token_bytes() const { return vocab <= 65535 ? 2 : 4; }
};

// Reads and checks <folder>/manifest.json, without reading the shards. Errors (ErrorKind::input):
// missing, not JSON, members missing or out of range (all of them in one error), a digest that does
// not belong to the contents.
Result<Manifest> read_manifest(Files& files, const Path& folder);

// SHA-256 of the paths and digests of source files: names the text, whatever became of it.
std::string digest_of(const std::vector<SourceFile>& sources);

// Text of manifest.json. An error only for provenance that JSON cannot hold.
Result<std::string> manifest_text(const Manifest& manifest);

// SHA-256 of the canonical JSON of all that decides which tokens are seen and how many bytes of
// text they stand for: vocabulary, end token, tokenizer digest, shards, text bytes. Not of paths,
// dates or provenance: the same text prepared elsewhere has the same digest.
std::string manifest_digest(const Manifest& manifest);

}  // namespace ration::data
