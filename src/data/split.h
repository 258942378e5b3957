#pragma once

// Which documents are held out: decided by the hash of each document's name, so that adding text
// never moves a document from one split to the other.

#include <span>
#include <vector>

#include "data/document_pass.h"

namespace ration::data {

struct SplitRule {
  std::int64_t one_in = 50;    // held out when the name's hash is a multiple of this
  std::int64_t min_bytes = 0;  // least text held out; more documents follow, lowest hash first
};

// Sets `use` of every document to train or val: held-out documents by the rule and at least one.
// Error (ErrorKind::input): too few documents to hold any out.
Result<void> split_documents(std::span<Document> documents, const SplitRule& rule);

// A training document whose normalised text is that of a held-out one.
struct Duplicate {
  std::size_t document;
  std::size_t held_out;  // the first such document
};

// Finds them. Reads again what may be equal, judged by layout_free. Errors: those of for_each_text.
Result<std::vector<Duplicate>> find_duplicates(const TextReader& reader);

// Error (ErrorKind::input): no document is left to train on.
Result<void> check_something_trains(std::span<const Document> documents);

}  // namespace ration::data
