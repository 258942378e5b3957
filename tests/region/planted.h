#pragma once

// Cosines of vectors that were made around known directions.

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"

namespace ration::test {

// [n, n] cosines of n vectors of 40 Gaussian numbers; vector i has `signal` times the direction of
// its label added.
inline std::vector<double> planted_cosines(const std::vector<std::size_t>& labels,
                                           double signal,
                                           std::uint64_t seed) {
  constexpr std::size_t kSize = 40;
  std::vector<std::vector<double>> vectors;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    Stream noise(seed, StreamId::init, i), direction(seed, StreamId::directions, labels[i]);
    vectors.emplace_back();
    for (std::size_t d = 0; d < kSize; ++d)
      vectors.back().push_back(noise.normal() + signal * direction.normal());
  }
  const auto dot = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t d = 0; d < kSize; ++d) sum += vectors[a][d] * vectors[b][d];
    return sum;
  };
  std::vector<double> cosines;
  for (std::size_t a = 0; a < vectors.size(); ++a)
    for (std::size_t b = 0; b < vectors.size(); ++b)
      cosines.push_back(dot(a, b) / std::sqrt(dot(a, a) * dot(b, b)));
  return cosines;
}

inline std::vector<std::string> words_of(const std::vector<std::size_t>& labels) {
  std::vector<std::string> words;
  for (const std::size_t label : labels) words.push_back("label " + std::to_string(label));
  return words;
}

}  // namespace ration::test
