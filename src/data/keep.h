#pragma once

// Where filters take part in a preparation: after the split, before a vocabulary is learned and
// text becomes tokens.

#include <functional>
#include <map>

#include "data/document_pass.h"

namespace ration::data {

// Bytes [begin, end) of a document's text.
struct ByteSpan {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const ByteSpan&) const = default;
};

struct Dropped {
  std::size_t document = 0;  // of Corpus::documents
  std::string why;           // in words, with the other document, similarity or perplexity
};

// What a filter leaves.
struct Kept {
  std::vector<Dropped> dropped;
  // Spans that are cut out of documents, ascending and apart; both ends lie between characters.
  std::map<std::size_t, std::vector<ByteSpan>> cuts;
  // Steps and options from which it can be repeated, and counts; kept in the manifest.
  Json record = Json::object();
};

// Sees the documents after the split (their `use` says train, val or duplicate) and their texts
// through for_each_text; may use the folder `scratch` for files that it removes again.
// Deterministic: the same documents give the same result.
using DocumentFilter = std::function<Result<Kept>(const TextReader& reader, const Path& scratch)>;

// Looks at the training documents as a filter left them, before tokens are written; what it finds
// goes into the manifest (provenance.overlap) and changes no data.
using OverlapCheck =
    std::function<Result<Json>(const TextReader& reader, const Kept& kept, const Path& scratch)>;

// The steps of `provenance.filters` and the counts of `provenance.overlap` in words, a line each.
std::string filters_text(const Json& provenance);

}  // namespace ration::data
