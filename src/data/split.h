#pragma once

// Which documents are held out: decided by the hash of each document's name, so that adding text
// never moves a document from one split to the other.

#include <cstdint>
#include <span>
#include <string>

#include "data/manifest.h"

namespace ration::data {

// A usable file of the text folder.
struct Document {
  SourceFile source;              // `use` is filled in by split_documents
  std::string normalised_digest;  // of the normalised text; equal texts have equal digests
};

struct SplitRule {
  std::int64_t one_in = 50;    // held out when the name's hash is a multiple of this
  std::int64_t min_bytes = 0;  // least text held out; more documents follow, lowest hash first
};

// First 64 bits, big-endian, of SHA-256 of the document's name (document_name).
std::uint64_t name_hash(std::string_view path);

// Sets `use` of every document: held-out documents by the rule and at least one; then training
// documents equal to a held-out one become duplicates. Error (ErrorKind::input): too few documents
// to hold any out, or none left to train on.
Result<void> split_documents(std::span<Document> documents, const SplitRule& rule);

}  // namespace ration::data
