#include "train/linear.h"

#include <ATen/ATen.h>

#include "train/cpu/rows.h"
#include "train/parallel.h"

namespace ration::train {
namespace {

// Up to here a weight stays in a core's cache and even the plain kernel keeps up with a library.
constexpr std::int64_t kSmallWeight = std::int64_t{1} << 18;  // elements

template <class Real>
at::Tensor matrix(const Real* data, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  constexpr at::ScalarType type = sizeof(Real) == sizeof(double) ? at::kDouble : at::kFloat;
  return at::from_blob(const_cast<Real*>(data), {rows, columns}, {stride, 1}, type);
}

}  // namespace

template <class Real>
Linear<Real>::Linear(const Parameters::Entry& weight, const Parameters::Entry* bias)
    : in_(weight.value.size(1)),
      out_(weight.value.size(0)),
      weight_(weight.value.template const_data_ptr<Real>()),
      weight_grad_(weight.grad.template data_ptr<Real>()) {
  if (bias != nullptr) {
    bias_ = bias->value.template const_data_ptr<Real>();
    bias_grad_ = bias->grad.template data_ptr<Real>();
  }
  use(cpu::has_wide_vectors() ? Products::own : Products::mixed);
}

template <class Real>
void Linear<Real>::use(Products products) {
  if (!exists()) return;
  own_ = products == Products::own || (products == Products::mixed && in_ * out_ <= kSmallWeight);
  columns_ = {};
  if (own_) columns_.resize(static_cast<std::size_t>(in_ * cpu::rounded_up<Real>(out_)));
}

template <class Real>
void Linear<Real>::refresh() {
  if (own_) cpu::transpose(out_, in_, weight_, columns_.data(), cpu::rounded_up<Real>(out_));
}

template <class Real>
void Linear<Real>::forward(std::int64_t rows, const Real* x, Real* y, std::int64_t stride) const {
  if (own_) {
    const std::int64_t padded = cpu::rounded_up<Real>(out_);
    const std::int64_t columns = stride == padded ? padded : out_;
    in_parts(rows, [&](cpu::Range range, std::int64_t) {
      cpu::product<Real>(range.end - range.begin,
                         columns,
                         in_,
                         {x + range.begin * in_, in_, 1},
                         {columns_.data(), padded},
                         {y + range.begin * stride, stride},
                         cpu::Store::replace);
    });
  } else {
    at::Tensor out = matrix(y, rows, out_, stride);
    at::mm_out(out, matrix(x, rows, in_, in_), matrix(weight_, out_, in_, in_).t());
  }
  if (bias_ != nullptr)
    in_parts(rows, [&](cpu::Range range, std::int64_t) {
      cpu::add_bias(range, out_, bias_, y);  // models with biases have no padded rows
    });
}

template <class Real>
void Linear<Real>::backward(std::int64_t rows,
                            const Real* x,
                            const Real* dy,
                            std::int64_t stride,
                            Real* dx,
                            cpu::Store store) const {
  if (own_) {
    in_parts(rows, [&](cpu::Range range, std::int64_t) {
      cpu::product<Real>(range.end - range.begin,
                         in_,
                         out_,
                         {dy + range.begin * stride, stride, 1},
                         {weight_, in_},
                         {dx + range.begin * in_, in_},
                         store);
    });
    in_parts(out_, [&](cpu::Range range, std::int64_t) {
      cpu::product<Real>(range.end - range.begin,
                         in_,
                         rows,
                         {dy + range.begin, 1, stride},
                         {x, in_},
                         {weight_grad_ + range.begin * in_, in_},
                         cpu::Store::add);
    });
  } else {
    const at::Tensor out_grad = matrix(dy, rows, out_, stride);
    at::Tensor in_grad = matrix(dx, rows, in_, in_);
    in_grad.addmm_(out_grad, matrix(weight_, out_, in_, in_), store == cpu::Store::add ? 1 : 0);
    matrix(weight_grad_, out_, in_, in_).addmm_(out_grad.t(), matrix(x, rows, in_, in_));
  }
  if (bias_grad_ != nullptr) cpu::add_column_sums({0, rows}, out_, dy, bias_grad_);
}

template class Linear<float>;
template class Linear<double>;

}  // namespace ration::train
