#pragma once

// The project's only source of randomness: counter streams over the SplitMix64 finaliser. Same key,
// same numbers on every platform, in any order of use. Known answers:
// tests/vectors/sampler_reference.json.

#include <cstdint>
#include <vector>

namespace ration {

// Draw i of a stream lies this far from draw i-1 before mixing.
inline constexpr std::uint64_t kStreamStride = 0x9E3779B97F4A7C15;

// The SplitMix64 finaliser; a bijection of 64-bit words. Constexpr: dropout masks draw one word an
// element, also on a GPU.
constexpr std::uint64_t mix(std::uint64_t z) {
  z += kStreamStride;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Streams with a fixed meaning. A new use takes a new number; numbers are never reused.
enum class StreamId : std::uint64_t {
  documents = 0,      // order of documents, seeded by the subset seed
  windows = 1,        // order of windows in one epoch
  sources = 2,        // choice of a source in a mixture
  init = 3,           // initial weights
  dropout = 4,        // dropout masks
  bootstrap = 5,      // resampling of runs in a fit
  starts = 6,         // starting points of a fit
  resampling = 7,     // bootstrap of a study's corpora, seeds and models
  labels = 8,         // permutations of labels, for tests
  clusters = 9,       // first centres of k-means
  hull = 10,          // weights of points within a convex hull
  directions = 11,    // random directions in weight space, and shuffled ones
  contributors = 12,  // who takes part in a round
  subsets = 13,       // which models a study merges
  faults = 14,        // which contributions an experiment makes fail
};

// Draws u64(i) = mix(key + i * 0x9E3779B97F4A7C15), i = 0, 1, 2, …, key = mix(mix(mix(seed) ^
// stream) ^ epoch).
class Stream {
 public:
  Stream(std::uint64_t seed, StreamId stream, std::uint64_t epoch = 0);

  std::uint64_t key() const { return key_; }
  std::uint64_t next();

  // Uniform integer in [0, n), n > 0, without bias (multiply and reject).
  std::uint64_t below(std::uint64_t n);

  // Uniform double in [0, 1) with 53 random bits.
  double uniform();

  // Leaves out the next `count` draws.
  void skip(std::uint64_t count) { index_ += count; }

  // Standard normal (Box-Muller; two draws a value, so that the i-th value depends on i alone).
  double normal();

 private:
  std::uint64_t key_;
  std::uint64_t index_ = 0;
};

// 0 … n-1 shuffled (Fisher-Yates from the end).
std::vector<std::uint32_t> permutation(std::uint32_t n, Stream stream);

}  // namespace ration
