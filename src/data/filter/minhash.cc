#include "data/filter/minhash.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/random.h"

namespace ration::data::filter {

namespace {

// Four vectors of 8 functions: their minima, factors and masks stay in registers over all shingles.
constexpr std::size_t kBlock = 32;
using Lanes = std::uint32_t __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void block_minima(const std::uint32_t* values,
                                                std::size_t count,
                                                const std::uint32_t* factors,
                                                const std::uint32_t* masks,
                                                std::uint32_t* minima) {
  Lanes a[4], s[4], least[4];
  std::memcpy(a, factors, sizeof a);
  std::memcpy(s, masks, sizeof s);
  std::memset(least, 0xFF, sizeof least);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t v = values[i];
    const Lanes x = {v, v, v, v, v, v, v, v};
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const Lanes hash = (x ^ s[k]) * a[k];
      least[k] = hash < least[k] ? hash : least[k];
    }
  }
  std::memcpy(minima, least, sizeof least);
}

void minima_plainly(const std::uint32_t* values,
                    std::size_t count,
                    const std::uint32_t* factors,
                    const std::uint32_t* masks,
                    std::uint32_t* minima) {
  block_minima(values, count, factors, masks, minima);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void minima_with_avx2(const std::uint32_t* values,
                                              std::size_t count,
                                              const std::uint32_t* factors,
                                              const std::uint32_t* masks,
                                              std::uint32_t* minima) {
  block_minima(values, count, factors, masks, minima);
}
const auto block_minima_here = __builtin_cpu_supports("avx2") ? minima_with_avx2 : minima_plainly;
#else
const auto block_minima_here = minima_plainly;
#endif

// ∫ of P from low to high; P is smooth and the choice of bands needs three digits.
double integral(double low, double high, Bands bands) {
  constexpr int kSteps = 400;
  const double h = (high - low) / kSteps;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) sum += candidate_probability(low + (i + 0.5) * h, bands);
  return sum * h;
}

}  // namespace

double candidate_probability(double similarity, Bands bands) {
  return 1 - std::pow(1 - std::pow(similarity, bands.rows), bands.bands);
}

Bands bands_for_recall(double threshold, double recall, int hashes) {
  Bands best{hashes, 1};
  for (int rows = 2; rows <= hashes; ++rows) {
    const Bands bands{hashes / rows, rows};
    if (candidate_probability(threshold, bands) >= recall) best = bands;
  }
  return best;
}

Bands balanced_bands(double threshold,
                     int hashes,
                     double false_positive_weight,
                     double false_negative_weight) {
  Bands best{1, 1};
  double least = 2;
  for (int bands = 1; bands <= hashes; ++bands)
    for (int rows = 1; bands * rows <= hashes; ++rows) {
      const Bands tried{bands, rows};
      const double cost = false_positive_weight * integral(0, threshold, tried) +
                          false_negative_weight * (1 - threshold - integral(threshold, 1, tried));
      if (cost < least) {
        least = cost;
        best = tried;
      }
    }
  return best;
}

MinHash::MinHash(int hashes, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(hashes); ++i) {
    const std::uint64_t word = mix(mix(seed) ^ i);
    factors_.push_back(static_cast<std::uint32_t>(word) | 1U);
    masks_.push_back(static_cast<std::uint32_t>(word >> 32));
  }
}

std::vector<std::uint32_t> MinHash::signature(std::span<const std::uint64_t> shingles) const {
  std::vector<std::uint32_t> values(shingles.size());
  for (std::size_t i = 0; i < shingles.size(); ++i)
    values[i] = static_cast<std::uint32_t>(shingles[i] >> 32);
  std::vector<std::uint32_t> minima(factors_.size());
  for (std::size_t k = 0; k < minima.size(); k += kBlock)
    block_minima_here(values.data(), values.size(), &factors_[k], &masks_[k], &minima[k]);
  return minima;
}

std::vector<std::uint64_t> band_keys(std::span<const std::uint32_t> signature, Bands bands) {
  std::vector<std::uint64_t> keys;
  keys.reserve(static_cast<std::size_t>(bands.bands));
  std::size_t at = 0;
  for (int band = 0; band < bands.bands; ++band) {
    std::uint64_t key = 0;
    for (int row = 0; row < bands.rows; ++row) key = mix(key ^ signature[at++]);
    keys.push_back(key);
  }
  return keys;
}

}  // namespace ration::data::filter
