#pragma once

// MinHash: H numbers a document, the least values of H hash functions over its shingles. Two
// documents agree in each with probability equal to the Jaccard similarity s of their shingle sets.
// Numbers are compared in b bands of r rows: documents that agree in a whole band are candidates,
// which happens with probability P(s) = 1 - (1 - s^r)^b.

#include <cstdint>
#include <span>
#include <vector>

namespace ration::data::filter {

struct Bands {
  int bands = 18;
  int rows = 7;
  bool operator==(const Bands&) const = default;
};

// P(s), s in 0 … 1.
double candidate_probability(double similarity, Bands bands);

// The most rows, hence the fewest false candidates, of bands with at most `hashes` numbers for
// which P(threshold) >= recall. For verified candidates, whose precision is 1 whatever the bands.
Bands bands_for_recall(double threshold, double recall, int hashes);

// The bands that minimise false_positive_weight · ∫_0^t P + false_negative_weight · ∫_t^1 (1 - P):
// the usual choice where candidates are not verified. Finds pairs at t about half of the time.
Bands balanced_bands(double threshold,
                     int hashes,
                     double false_positive_weight = 0.5,
                     double false_negative_weight = 0.5);

// H hash functions of 32 bits, x -> (x xor s_i) * a_i with odd a_i: a form that a processor
// computes for 8 functions at once. One permutation cut into bins would cost less, but its numbers
// are not independent, and P(s) would no longer hold.
class MinHash {
 public:
  // hashes: a multiple of 32.
  MinHash(int hashes, std::uint64_t seed);

  int hashes() const { return static_cast<int>(factors_.size()); }
  // The least value of each function; all ones for no shingles.
  std::vector<std::uint32_t> signature(std::span<const std::uint64_t> shingles) const;

 private:
  std::vector<std::uint32_t> factors_;
  std::vector<std::uint32_t> masks_;
};

// One number for the rows of each band.
std::vector<std::uint64_t> band_keys(std::span<const std::uint32_t> signature, Bands bands);

}  // namespace ration::data::filter
