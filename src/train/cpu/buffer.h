#pragma once

// Numbers that begin on a cache line, so that no vector lies across two.

#include <cstddef>
#include <new>
#include <vector>

namespace ration::train::cpu {

template <class Real>
struct OnCacheLine {
  using value_type = Real;
  static constexpr std::align_val_t kLine{64};

  OnCacheLine() = default;
  template <class Other>
  explicit OnCacheLine(const OnCacheLine<Other>&) {}

  Real* allocate(std::size_t n) {
    return static_cast<Real*>(::operator new(n * sizeof(Real), kLine));
  }
  void deallocate(Real* pointer, std::size_t) { ::operator delete(pointer, kLine); }
  bool operator==(const OnCacheLine&) const { return true; }
};

template <class Real>
using Buffer = std::vector<Real, OnCacheLine<Real>>;

}  // namespace ration::train::cpu
