#pragma once

// Two tensors of one dtype and shape compared, number by number. Internal to the room.

#include <cstdint>
#include <span>

#include "checkpoint/dtype.h"

namespace ration::versions {

// Numbers that are NaN or infinite on either side count in no sum: what is left of a tensor with
// some of them still says how far it moved.
struct Tally {
  std::uint64_t changed = 0;  // numbers whose bits differ
  double old_squares = 0;     // sum of old^2; as the sums below of floating-point numbers alone
  double new_squares = 0;     // sum of new^2
  double delta_squares = 0;   // sum of (new - old)^2
  double products = 0;        // sum of old new
  double largest = 0;         // max |new - old|, of whole numbers, too
  std::uint64_t old_nan = 0;
  std::uint64_t new_nan = 0;
  std::uint64_t old_infinite = 0;
  std::uint64_t new_infinite = 0;

  void add(const Tally& other);
};

// True for numbers with sums: f16, bf16, f32 and f64.
bool has_sums(checkpoint::DType dtype);
// True for those, and for whole numbers.
bool has_largest(checkpoint::DType dtype);

// Blocks of equal length, of whole numbers.
Tally tally(checkpoint::DType dtype,
            std::span<const std::byte> before,
            std::span<const std::byte> after);

}  // namespace ration::versions
