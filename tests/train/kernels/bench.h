#pragma once

// Numbers for a kernel and what LibTorch makes of the same numbers in double precision.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "base/random.h"
#include "train/device/backend.h"
#include "train/device/device_under_test.h"
#include "train/device/numbers.h"

namespace ration::test {

// Kernels of activations T on the device under test. Two runs unless a test says otherwise.
template <class T>
struct Bench {
  using Real = train::kernels::Wide<T>;

  // Normal numbers as T or Real holds them; every call draws new ones.
  at::Tensor narrow(at::IntArrayRef shape) {
    return normal(shape, train::device::scalar_type<T>());
  }
  at::Tensor wide(at::IntArrayRef shape) {
    return normal(shape, train::device::scalar_type<Real>());
  }
  static at::Tensor empty(at::IntArrayRef shape) {
    return at::full(
        shape, -7, options(train::device::scalar_type<T>()));  // nothing counts on zeros
  }
  static at::Tensor zeros(at::IntArrayRef shape) {
    return at::zeros(shape, options(train::device::scalar_type<Real>()));
  }
  static at::Tensor here(const at::Tensor& tensor) { return tensor.to(device_under_test()); }
  static at::TensorOptions options(at::ScalarType type) {
    return at::TensorOptions(type).device(device_under_test());
  }

  template <class Kernel>
  void run(const Kernel& kernel) const {
    const at::Device device = device_under_test();
    train::device::kernels_of<T>(device)(kernel, train::device::stream_of(device));
  }

  // The values as they are, for the reference.
  static at::Tensor exact(const at::Tensor& tensor) {
    return tensor.to(at::kDouble, false, /*copy=*/true).cpu();
  }
  static at::Tensor leaf(const at::Tensor& tensor) {
    return exact(tensor).detach().clone().set_requires_grad(true);
  }

  // Largest difference relative to the largest element: one rounding of T, and for wide results
  // those of a sum of some hundred terms.
  static double narrow_tolerance() {
    if (std::is_same_v<T, double>) return 1e-12;
    return std::is_same_v<T, float> ? 3e-6 : 0x1p-8;
  }
  static double wide_tolerance() { return std::is_same_v<T, double> ? 1e-12 : 3e-6; }
  static void expect_near(const at::Tensor& got,
                          const at::Tensor& want,
                          double tolerance,
                          const std::string& what) {
    const at::Tensor reference = exact(want).reshape(-1), value = exact(got).reshape(-1);
    ASSERT_EQ(value.numel(), reference.numel()) << what;
    const double scale = std::max(1e-30, reference.abs().max().template item<double>());
    EXPECT_LE((value - reference).abs().max().template item<double>(), tolerance * scale) << what;
  }

 private:
  at::Tensor normal(at::IntArrayRef shape, at::ScalarType type) {
    Stream stream(++draws_, StreamId::starts);
    at::Tensor numbers = at::empty(shape, at::kDouble);
    for (std::int64_t i = 0; i < numbers.numel(); ++i)
      numbers.data_ptr<double>()[i] = stream.normal();
    return numbers.to(type).to(device_under_test());
  }

  std::uint64_t draws_ = 0;
};

using Numbers = testing::Types<double, float, train::kernels::BFloat16>;
struct NumberNames {
  template <class T>
  static std::string GetName(int) {
    if (std::is_same_v<T, double>) return "Double";
    return std::is_same_v<T, float> ? "Float" : "BFloat16";
  }
};

}  // namespace ration::test
