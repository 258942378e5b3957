#pragma once

// What is known of a text that `ration data fetch` made: ration.fetch.json beside it, one corpus
// each, which the manifest of the prepared data carries on.

#include "data/corpus.h"

namespace ration::data {

struct FetchedCorpus {
  std::string name;     // "kernel"
  std::string package;  // Debian's; "base-files"
  std::string version;
  std::string licence;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;   // of text, unpacked
  std::string sha256;        // of the texts of all files, in the byte order of their paths
  std::string known_sha256;  // what it was when this program was written; empty = not known
  bool drifted() const { return !known_sha256.empty() && !sha256.starts_with(known_sha256); }
  bool operator==(const FetchedCorpus&) const = default;
};

// As an object of `provenance.corpora` in manifest.json, and as ration.fetch.json has it.
Json to_json(const FetchedCorpus& corpus);

// The corpora of a manifest; none where no fetched text went in.
std::vector<FetchedCorpus> corpora_of(const Manifest& manifest);

// `provenance.corpora`: an array, one object for each ration.fetch.json of the text. Error
// (ErrorKind::input): a file of that name that is something else.
Result<Json> read_corpora(Files& files, const Corpus& corpus);

}  // namespace ration::data
