#pragma once

// Dropout by counter: the masks of train/dropout.h, element by element.

#include "base/random.h"
#include "train/kernels/block.h"

namespace ration::train::kernels {

// Element e of a run's step is dropped when the e-th draw of the run's stream says so.
struct Mask {
  const std::uint64_t* keys =
      nullptr;  // of each run's stream, in the device's memory; null: no dropout
  std::uint64_t dropped_below = 0;  // of 2^53 possible draws
  double kept = 1;                  // 1/(1 - probability)

  RATION_BOTH bool active() const { return keys != nullptr; }

  // 0 or `kept`.
  template <class Real>
  RATION_BOTH Real factor(std::int64_t run, std::int64_t element) const {
    const std::uint64_t draw =
        mix(keys[run] + static_cast<std::uint64_t>(element) * kStreamStride) >> 11;
    return draw < dropped_below ? Real(0) : static_cast<Real>(kept);
  }
};

// keys may be null.
inline Mask mask_of(const std::uint64_t* keys, double probability) {
  if (keys == nullptr || probability <= 0) return {};
  return {.keys = keys,
          .dropped_below = static_cast<std::uint64_t>(std::ceil(probability * 0x1.0p53)),
          .kept = 1 / (1 - probability)};
}

}  // namespace ration::train::kernels
