#include "merge/numbers.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace ration::merge {
namespace {

using checkpoint::DType;

struct F16 {
  using Stored = std::uint16_t;
  using Tau = float;
  static float load(Stored half) {
    constexpr std::uint32_t kExponent = 0x7c00U << 13;
    std::uint32_t bits = (half & 0x7fffU) << 13;
    const std::uint32_t exponent = bits & kExponent;
    bits += (127U - 15U) << 23;
    const std::uint32_t special = bits + ((128U - 16U) << 23);               // infinity and NaN
    const float small = std::bit_cast<float>(bits + (1U << 23)) - 0x1p-14F;  // below 2^-14
    const std::uint32_t magnitude = exponent == kExponent ? special
                                    : exponent == 0       ? std::bit_cast<std::uint32_t>(small)
                                                          : bits;
    return std::bit_cast<float>(magnitude | (half & 0x8000U) << 16);
  }
  // `odd` is rounded to odd, so that this second rounding is as one.
  static Stored store(float odd) {
    const auto bits = std::bit_cast<std::uint32_t>(odd);
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    const float grown = std::bit_cast<float>(magnitude) + 0.5F;  // the sum's ulp is 2^-24
    const std::uint32_t small = std::bit_cast<std::uint32_t>(grown) - 0x3f000000U;
    const std::uint32_t normal =
        (magnitude - ((127U - 15U) << 23) + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
    const std::uint32_t half = magnitude < 0x38800000U ? small
                               : normal < 0x7c00U      ? normal
                                                       : 0x7c00U;
    return static_cast<Stored>(half | (bits >> 16 & 0x8000U));
  }
};

struct BF16 {
  using Stored = std::uint16_t;
  using Tau = float;
  static float load(Stored brain) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(brain) << 16);
  }
  static Stored store(float odd) {
    const auto bits = std::bit_cast<std::uint32_t>(odd);
    return static_cast<Stored>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
  }
};

struct F32 {
  using Stored = float;
  using Tau = float;
  static float load(Stored value) { return value; }
};

struct F64 {
  using Stored = double;
  using Tau = double;
  static double load(Stored value) { return value; }
};

template <class Format>
auto at(const std::byte* bytes, std::size_t j) {
  typename Format::Stored stored;
  std::memcpy(&stored, bytes + j * sizeof stored, sizeof stored);
  return Format::load(stored);
}

// f64 to f32, inexact numbers to the neighbour whose last bit is 1: what is rounded to fewer bits
// afterwards comes out as if it had been rounded once.
float round_to_odd(double value) {
  const float near = static_cast<float>(value);
  const double back = near;
  auto bits = std::bit_cast<std::uint32_t>(near);
  bits -= std::fabs(back) > std::fabs(value) ? 1U : 0U;
  bits |= back != value ? 1U : 0U;
  return std::bit_cast<float>(bits);
}

// Calls `use(Format())` for the format of a float dtype.
template <class Use>
void with_format(DType dtype, const Use& use) {
  switch (dtype) {
    case DType::f16:
      return use(F16());
    case DType::bf16:
      return use(BF16());
    case DType::f64:
      return use(F64());
    default:
      return use(F32());
  }
}

}  // namespace

bool is_float(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64;
}

void widen(DType dtype, const std::byte* bytes, std::uint64_t first, std::span<double> to) {
  with_format(dtype, [&](auto format) {
    using Format = decltype(format);
    const std::byte* from = bytes + first * sizeof(typename Format::Stored);
    double* const out = to.data();
    for (std::size_t j = 0; j < to.size(); ++j) out[j] = at<Format>(from, j);
  });
}

void add_scaled(DType dtype,
                const std::byte* bytes,
                std::uint64_t first,
                double scale,
                bool begin,
                std::span<double> sum) {
  with_format(dtype, [&](auto format) {
    using Format = decltype(format);
    const std::byte* from = bytes + first * sizeof(typename Format::Stored);
    double* const out = sum.data();
    if (begin)
      for (std::size_t j = 0; j < sum.size(); ++j)
        out[j] = scale * static_cast<double>(at<Format>(from, j));
    else
      for (std::size_t j = 0; j < sum.size(); ++j)
        out[j] += scale * static_cast<double>(at<Format>(from, j));
  });
}

void difference(DType dtype,
                const std::byte* model,
                const std::byte* base,
                std::uint64_t first,
                std::span<double> to) {
  with_format(dtype, [&](auto format) {
    using Format = decltype(format);
    using Tau = typename Format::Tau;
    const std::uint64_t offset = first * sizeof(typename Format::Stored);
    const std::byte* a = model + offset;
    const std::byte* b = base + offset;
    double* const out = to.data();
    for (std::size_t j = 0; j < to.size(); ++j)
      out[j] = static_cast<Tau>(at<Format>(a, j) - at<Format>(b, j));
  });
}

void narrow(DType dtype, std::span<const double> from, std::uint64_t first, std::byte* bytes) {
  const double* const in = from.data();
  const std::size_t count = from.size();
  const auto store = [&](auto zero, const auto& convert) {
    std::byte* const to = bytes + first * sizeof zero;
    for (std::size_t j = 0; j < count; ++j) {
      const decltype(zero) value = convert(in[j]);
      std::memcpy(to + j * sizeof value, &value, sizeof value);
    }
  };
  switch (dtype) {
    case DType::f16:
      return store(std::uint16_t{}, [](double x) { return F16::store(round_to_odd(x)); });
    case DType::bf16:
      return store(std::uint16_t{}, [](double x) { return BF16::store(round_to_odd(x)); });
    case DType::f64:
      return store(double{}, [](double x) { return x; });
    default:
      return store(float{}, [](double x) { return static_cast<float>(x); });
  }
}

double overflow_limit(DType dtype) {
  switch (dtype) {  // the largest number and half of its last bit
    case DType::f16:
      return 65520;
    case DType::bf16:
      return 0x1.ffp127;
    case DType::f64:
      return std::numeric_limits<double>::infinity();
    default:
      return 0x1.ffffffp127;
  }
}

bool all_below(std::span<const double> numbers, double limit) {
  constexpr std::size_t kLanes = 8;
  double bad[kLanes] = {};
  const double* const in = numbers.data();
  std::size_t j = 0;
  for (; j + kLanes <= numbers.size(); j += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      bad[lane] += std::fabs(in[j + lane]) < limit ? 0.0 : 1.0;
  for (; j < numbers.size(); ++j) bad[0] += std::fabs(in[j]) < limit ? 0.0 : 1.0;
  double total = 0;
  for (const double lane : bad) total += lane;
  return total == 0;
}

}  // namespace ration::merge
