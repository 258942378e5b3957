#include "versions/tally.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "merge/numbers.h"

namespace ration::versions {
namespace {

using checkpoint::DType;

constexpr std::size_t kChunk = 2048;  // numbers; 16 KiB as f64

template <class Item>
Item item_at(std::span<const std::byte> bytes, std::size_t index) {
  Item item;
  std::memcpy(&item, bytes.data() + index * sizeof(Item), sizeof(Item));
  return item;
}

template <class Bits>
std::uint64_t differing(std::span<const std::byte> before, std::span<const std::byte> after) {
  std::uint64_t count = 0;
  for (std::size_t j = 0; j < before.size() / sizeof(Bits); ++j)
    count += item_at<Bits>(before, j) != item_at<Bits>(after, j) ? 1 : 0;
  return count;
}

std::uint64_t differing(std::uint64_t item_bytes,
                        std::span<const std::byte> before,
                        std::span<const std::byte> after) {
  if (item_bytes == 1) return differing<std::uint8_t>(before, after);
  if (item_bytes == 2) return differing<std::uint16_t>(before, after);
  if (item_bytes == 4) return differing<std::uint32_t>(before, after);
  return differing<std::uint64_t>(before, after);
}

// Of 64 bits, too, the difference is exact until it becomes a double.
template <class Whole>
double largest_step(std::span<const std::byte> before, std::span<const std::byte> after) {
  std::uint64_t largest = 0;
  for (std::size_t j = 0; j < before.size() / sizeof(Whole); ++j) {
    const Whole a = item_at<Whole>(before, j);
    const Whole b = item_at<Whole>(after, j);
    const std::uint64_t step = a < b
                                   ? static_cast<std::uint64_t>(b) - static_cast<std::uint64_t>(a)
                                   : static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
    largest = std::max(largest, step);
  }
  return static_cast<double>(largest);
}

double largest_step(DType dtype,
                    std::span<const std::byte> before,
                    std::span<const std::byte> after) {
  switch (dtype) {
    case DType::u8:
      return largest_step<std::uint8_t>(before, after);
    case DType::i8:
      return largest_step<std::int8_t>(before, after);
    case DType::u16:
      return largest_step<std::uint16_t>(before, after);
    case DType::i16:
      return largest_step<std::int16_t>(before, after);
    case DType::u32:
      return largest_step<std::uint32_t>(before, after);
    case DType::i32:
      return largest_step<std::int32_t>(before, after);
    case DType::u64:
      return largest_step<std::uint64_t>(before, after);
    case DType::i64:
      return largest_step<std::int64_t>(before, after);
    default:
      return 0;
  }
}

void count_special(double number, std::uint64_t& nan, std::uint64_t& infinite) {
  if (std::isnan(number)) ++nan;
  if (std::isinf(number)) ++infinite;
}

void add_numbers(std::span<const double> before, std::span<const double> after, Tally& sums) {
  for (std::size_t j = 0; j < before.size(); ++j) {
    const double a = before[j];
    const double b = after[j];
    if (!std::isfinite(a) || !std::isfinite(b)) {
      count_special(a, sums.old_nan, sums.old_infinite);
      count_special(b, sums.new_nan, sums.new_infinite);
      continue;
    }
    const double delta = b - a;
    sums.old_squares += a * a;
    sums.new_squares += b * b;
    sums.delta_squares += delta * delta;
    sums.products += a * b;
    sums.largest = std::max(sums.largest, std::abs(delta));
  }
}

}  // namespace

void Tally::add(const Tally& other) {
  changed += other.changed;
  old_squares += other.old_squares;
  new_squares += other.new_squares;
  delta_squares += other.delta_squares;
  products += other.products;
  largest = std::max(largest, other.largest);
  old_nan += other.old_nan;
  new_nan += other.new_nan;
  old_infinite += other.old_infinite;
  new_infinite += other.new_infinite;
}

bool has_sums(DType dtype) { return merge::is_float(dtype); }

bool has_largest(DType dtype) {
  constexpr std::array kWhole = {
      DType::u8, DType::i8, DType::u16, DType::i16, DType::u32, DType::i32, DType::u64, DType::i64};
  return has_sums(dtype) || std::find(kWhole.begin(), kWhole.end(), dtype) != kWhole.end();
}

Tally tally(DType dtype, std::span<const std::byte> before, std::span<const std::byte> after) {
  Tally sums;
  const std::uint64_t item_bytes = checkpoint::item_bytes(dtype);
  sums.changed = differing(item_bytes, before, after);
  if (!has_sums(dtype)) {
    sums.largest = largest_step(dtype, before, after);
    return sums;
  }
  std::array<double, kChunk> a{};
  std::array<double, kChunk> b{};
  const std::size_t count = before.size() / item_bytes;
  for (std::size_t first = 0; first < count; first += kChunk) {
    const std::size_t some = std::min(kChunk, count - first);
    const std::span<double> old_numbers(a.data(), some);
    const std::span<double> new_numbers(b.data(), some);
    merge::widen(dtype, before.data(), first, old_numbers);
    merge::widen(dtype, after.data(), first, new_numbers);
    add_numbers(old_numbers, new_numbers, sums);
  }
  return sums;
}

}  // namespace ration::versions
