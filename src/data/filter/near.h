#pragma once

// Near-duplicates: documents whose shingle sets (data/filter/shingles.h) have a Jaccard similarity
// of at least a threshold. MinHash proposes pairs, the sets decide: no pair below the threshold
// counts, and a pair of similarity s is found with probability P(s) (data/filter/minhash.h).
// Documents joined by such pairs, over however many others, are one group; the lowest number stays.
//
// Memory: 16 bytes a document at least; 8 bytes a document and band where allowed, else those lie
// in the scratch folder; the shingle sets of some candidates (a quarter of the memory allowed).

#include "data/filter/minhash.h"
#include "data/filter/report.h"

namespace ration::data::filter {

struct NearOptions {
  // Least Jaccard similarity of near-duplicates, above 0 … 1. Published corpora use 0.7 to 0.85.
  double threshold = 0.8;
  // Words of a shingle, 1 … 50. Five words in a row are seldom shared by chance.
  int words = 5;
  // MinHash numbers a document, a multiple of 32, 32 … 1024.
  int hashes = 128;
  // The probability with which a pair exactly at the threshold is found, above 0 … below 1; decides
  // the bands unless they are given.
  double recall = 0.98;
  std::optional<Bands> bands = {};  // bands · rows <= hashes
  // A band shared by more documents, 2 … : they are compared with the first of them alone, for all
  // pairs of n documents are n²/2. How many such there were is reported.
  std::uint64_t bucket_limit = 2000;
  std::uint64_t seed = 1;  // of the hash functions
};

std::vector<Error> check(const NearOptions& options);

Result<FilterReport> near_duplicates(const DocumentSource& source,
                                     const NearOptions& options,
                                     const Resources& resources);

}  // namespace ration::data::filter
