#pragma once

// Runs of stored numbers, widened to f64 and rounded back. f16 (IEEE 754 binary16), bf16 and f32
// fit f64 exactly; the way back rounds once, to nearest, ties to even. `first` counts elements from
// `bytes`, which need no alignment. All loops are over plain arrays, so that they vectorise.

#include <cstddef>
#include <cstdint>
#include <span>

#include "checkpoint/dtype.h"

namespace ration::merge {

bool is_float(checkpoint::DType dtype);  // f16, bf16, f32 or f64

void widen(checkpoint::DType dtype,
           const std::byte* bytes,
           std::uint64_t first,
           std::span<double> to);

// sum[j] += scale * element; with `begin`, sum[j] = scale * element.
void add_scaled(checkpoint::DType dtype,
                const std::byte* bytes,
                std::uint64_t first,
                double scale,
                bool begin,
                std::span<double> sum);

// model - base, rounded to f32 (f64 where the dtype is f64).
void difference(checkpoint::DType dtype,
                const std::byte* model,
                const std::byte* base,
                std::uint64_t first,
                std::span<double> to);

// Rounds to `dtype` at element `first` of `bytes`.
void narrow(checkpoint::DType dtype,
            std::span<const double> from,
            std::uint64_t first,
            std::byte* bytes);

// Numbers below this in magnitude stay finite in `dtype`.
double overflow_limit(checkpoint::DType dtype);

// True when all are below `limit` in magnitude; false for any NaN.
bool all_below(std::span<const double> numbers, double limit);

}  // namespace ration::merge
