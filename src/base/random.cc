#include "base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace ration {

Stream::Stream(std::uint64_t seed, StreamId stream, std::uint64_t epoch)
    : key_(mix(mix(mix(seed) ^ static_cast<std::uint64_t>(stream)) ^ epoch)) {}

std::uint64_t Stream::next() { return mix(key_ + index_++ * kStreamStride); }

std::uint64_t Stream::below(std::uint64_t n) {
  const std::uint64_t threshold = (0 - n) % n;
  while (true) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(next()) * n;
    if (static_cast<std::uint64_t>(product) >= threshold)
      return static_cast<std::uint64_t>(product >> 64);
  }
}

double Stream::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Stream::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::vector<std::uint32_t> permutation(std::uint32_t n, Stream stream) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

}  // namespace ration
