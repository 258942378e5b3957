#include "train/experts/merged_mlp.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "run/experts.h"
#include "train/cpu/combine.h"
#include "train/cpu/product.h"
#include "train/parallel.h"

namespace ration::train::experts {
namespace {

constexpr std::int64_t kShared = 512;  // numbers that threads share out

cpu::Activation activation_of(const std::string& mlp) {
  if (mlp == "swiglu") return cpu::Activation::swiglu;
  if (mlp == "relu2") return cpu::Activation::relu2;
  return mlp == "gelu_tanh" ? cpu::Activation::gelu_tanh : cpu::Activation::gelu_erf;
}

template <class Real>
void resize(cpu::Buffer<Real>& buffer, std::int64_t size) {
  if (std::ssize(buffer) < size) buffer.resize(static_cast<std::size_t>(size));
}

// out [n,numbers] = p [n,E] rows [E,numbers]; columns shared among threads.
template <class Real>
void merge_rows(const Real* p,
                std::int64_t n,
                std::int64_t experts,
                const Real* rows,
                std::int64_t apart,
                std::int64_t numbers,
                Real* out) {
  in_parts((numbers + kShared - 1) / kShared, [&](cpu::Range range, std::int64_t) {
    const std::int64_t first = range.begin * kShared;
    const std::int64_t count = std::min(range.end * kShared, numbers) - first;
    if (count <= 0) return;
    cpu::combine<Real>(n,
                       count,
                       experts,
                       {p, experts, 1},
                       {rows + first, apart},
                       {out + first, numbers},
                       cpu::Store::replace);
  });
}

// Adds p' gradients to those of all experts, and gradients times experts to dp.
template <class Real>
void spread_gradients(
    const ExpertRows<Real>& rows, const Real* p, std::int64_t n, const Real* gradients, Real* dp) {
  in_parts((rows.numbers + kShared - 1) / kShared, [&](cpu::Range range, std::int64_t) {
    const std::int64_t first = range.begin * kShared;
    const std::int64_t count = std::min(range.end * kShared, rows.numbers) - first;
    if (count <= 0) return;
    cpu::combine<Real>(rows.experts,
                       count,
                       n,
                       {p, 1, rows.experts},
                       {gradients + first, rows.numbers},
                       {rows.grads + first, rows.apart},
                       cpu::Store::add);
  });
  in_parts(n, [&](cpu::Range range, std::int64_t) {
    cpu::add_dots<Real>(range.end - range.begin,
                        rows.experts,
                        rows.numbers,
                        {gradients + range.begin * rows.numbers, rows.numbers},
                        {rows.values, rows.apart},
                        {dp + range.begin * rows.experts, rows.experts});
  });
}

}  // namespace

template <class Real>
ExpertRows<Real> expert_rows(const Parameters& parameters,
                             std::int64_t layer,
                             const std::string& name) {
  const auto named = [&](std::int64_t e) {
    return fmt::format("h{}.experts.{}.{}", layer, e, name);
  };
  if (!parameters.has(named(0))) return {};
  const Parameters::Entry& first = parameters.at(named(0));
  ExpertRows<Real> rows{.values = first.value.template const_data_ptr<Real>(),
                        .grads = first.grad.template data_ptr<Real>(),
                        .experts = 1,
                        .numbers = first.value.numel(),
                        .apart = first.value.numel()};
  while (parameters.has(named(rows.experts))) ++rows.experts;
  if (rows.experts > 1) rows.apart = parameters.at(named(1)).offset - first.offset;
  return rows;
}

template <class Real>
MergedMap<Real>::MergedMap(const Parameters& parameters,
                           std::int64_t layer,
                           const std::string& name)
    : weight_(expert_rows<Real>(parameters, layer, name + ".w")),
      bias_(expert_rows<Real>(parameters, layer, name + ".b")) {
  if (!exists()) return;
  const auto& shape = parameters.at(fmt::format("h{}.experts.0.{}.w", layer, name)).shape.shape;
  out_ = shape[0], in_ = shape[1], padded_ = cpu::rounded_up<Real>(out_);
  columns_.resize(static_cast<std::size_t>(weight_.experts * in_ * padded_));
}

template <class Real>
void MergedMap<Real>::refresh() {
  if (!exists()) return;
  in_parts(weight_.experts, [&](cpu::Range range, std::int64_t) {
    for (std::int64_t e = range.begin; e < range.end; ++e)
      cpu::transpose(out_,
                     in_,
                     weight_.values + e * weight_.apart,
                     columns_.data() + e * in_ * padded_,
                     padded_);
  });
}

template <class Real>
void MergedMap<Real>::merge(std::span<const Real> p, std::int64_t n) {
  const std::int64_t numbers = in_ * padded_;
  resize(merged_columns_, n * numbers);
  merge_rows(
      p.data(), n, weight_.experts, columns_.data(), numbers, numbers, merged_columns_.data());
  if (bias_.values == nullptr) return;
  resize(merged_bias_, n * out_);
  merge_rows(
      p.data(), n, bias_.experts, bias_.values, bias_.apart, bias_.numbers, merged_bias_.data());
}

template <class Real>
void MergedMap<Real>::forward(std::int64_t r, std::int64_t rows, const Real* x, Real* y) const {
  cpu::product<Real>(rows,
                     out_,
                     in_,
                     {x, in_, 1},
                     {merged_columns_.data() + r * in_ * padded_, padded_},
                     {y, out_},
                     cpu::Store::replace);
  if (bias_.values != nullptr) cpu::add_bias({0, rows}, out_, merged_bias_.data() + r * out_, y);
}

template <class Real>
void MergedMap<Real>::merge_for_backward(std::span<const Real> p, std::int64_t n) {
  const std::int64_t numbers = out_ * in_;
  resize(merged_, n * numbers);
  resize(gradients_, n * numbers);
  merge_rows(p.data(), n, weight_.experts, weight_.values, weight_.apart, numbers, merged_.data());
  if (bias_.values == nullptr) return;
  resize(bias_gradients_, n * out_);
}

template <class Real>
void MergedMap<Real>::clear_gradient(std::int64_t r) {
  std::fill_n(gradients_.data() + r * out_ * in_, out_ * in_, Real(0));
  if (bias_.values != nullptr) std::fill_n(bias_gradients_.data() + r * out_, out_, Real(0));
}

template <class Real>
void MergedMap<Real>::backward(std::int64_t r,
                               std::int64_t rows,
                               const Real* x,
                               const Real* dy,
                               Real* dx,
                               cpu::Store into_x,
                               cpu::Store into_gradient) {
  const std::int64_t place = r * out_ * in_;
  cpu::product<Real>(
      rows, in_, out_, {dy, out_, 1}, {merged_.data() + place, in_}, {dx, in_}, into_x);
  cpu::product<Real>(
      out_, in_, rows, {dy, 1, out_}, {x, in_}, {gradients_.data() + place, in_}, into_gradient);
  if (bias_.values == nullptr) return;
  Real* bias = bias_gradients_.data() + r * out_;
  if (into_gradient == cpu::Store::replace) std::fill_n(bias, out_, Real(0));
  cpu::add_column_sums({0, rows}, out_, dy, bias);
}

template <class Real>
void MergedMap<Real>::finish(std::span<const Real> p, std::int64_t n, std::span<Real> dp) {
  spread_gradients(weight_, p.data(), n, gradients_.data(), dp.data());
  if (bias_.values != nullptr)
    spread_gradients(bias_, p.data(), n, bias_gradients_.data(), dp.data());
}

template <class Real>
void MergedMap<Real>::release() {
  for (cpu::Buffer<Real>* buffer :
       {&merged_columns_, &merged_bias_, &merged_, &gradients_, &bias_gradients_})
    cpu::Buffer<Real>().swap(*buffer);
}

template <class Real>
MergedMlp<Real>::MergedMlp(const run::RunSpec& spec,
                           const Parameters& parameters,
                           std::int64_t layer)
    : activation_(activation_of(spec.mlp)),
      width_(spec.width),
      hidden_(run::expert_width(spec)),
      up_(parameters, layer, "up"),
      gate_(parameters, layer, "gate"),
      down_(parameters, layer, "down") {}

template <class Real>
void MergedMlp<Real>::refresh() {
  for (MergedMap<Real>* map : {&up_, &gate_, &down_}) map->refresh();
}

template <class Real>
void MergedMlp<Real>::release() {
  for (MergedMap<Real>* map : {&up_, &gate_, &down_}) map->release();
}

template <class Real>
void MergedMlp<Real>::forward(std::span<const Real> p,
                              std::span<const Real> second,
                              std::span<const std::vector<RowsOf>> rows,
                              const Values& v,
                              Real* y) {
  const std::int64_t n = std::ssize(rows);
  up_.merge(p, n);
  if (gate_.exists()) gate_.merge(p, n);
  down_.merge(second.empty() ? p : second, n);
  in_parts(n, [&](cpu::Range range, std::int64_t) {
    for (std::int64_t r = range.begin; r < range.end; ++r)
      for (const RowsOf& its : rows[static_cast<std::size_t>(r)]) {
        const std::int64_t wide = its.first * hidden_, narrow = its.first * width_;
        up_.forward(r, its.count, v.x + narrow, v.up + wide);
        if (gate_.exists()) gate_.forward(r, its.count, v.x + narrow, v.gate + wide);
        cpu::activate({wide, wide + its.count * hidden_}, activation_, v.up, v.gate, v.hidden);
        down_.forward(r, its.count, v.hidden + wide, y + narrow);
      }
  });
}

// A merged expert's gradients are summed over its rows by one thread, in their order.
template <class Real>
void MergedMlp<Real>::backward(std::span<const Real> p,
                               std::span<const Real> second,
                               std::span<const std::vector<RowsOf>> rows,
                               const Values& v,
                               const Real* dy,
                               Real* dhidden,
                               Real* dx,
                               std::span<Real> dp,
                               std::span<Real> dsecond) {
  const std::int64_t n = std::ssize(rows);
  const std::span<const Real> last = second.empty() ? p : second;
  up_.merge_for_backward(p, n);
  if (gate_.exists()) gate_.merge_for_backward(p, n);
  down_.merge_for_backward(last, n);
  in_parts(n, [&](cpu::Range range, std::int64_t) {
    for (std::int64_t r = range.begin; r < range.end; ++r) {
      const std::vector<RowsOf>& own = rows[static_cast<std::size_t>(r)];
      if (own.empty())
        for (MergedMap<Real>* map : {&up_, &gate_, &down_})
          if (map->exists()) map->clear_gradient(r);
      for (const RowsOf& its : own) {
        constexpr auto replace = cpu::Store::replace, add = cpu::Store::add;
        const auto into = &its == own.data() ? replace : add;
        const std::int64_t wide = its.first * hidden_, narrow = its.first * width_;
        const Real* x = v.x + narrow;
        down_.backward(r, its.count, v.hidden + wide, dy + narrow, dhidden + wide, replace, into);
        cpu::activation_backward({wide, wide + its.count * hidden_}, dhidden, v.up, v.gate);
        up_.backward(r, its.count, x, v.up + wide, dx + narrow, replace, into);
        if (gate_.exists()) gate_.backward(r, its.count, x, v.gate + wide, dx + narrow, add, into);
      }
    }
  });
  up_.finish(p, n, dp);
  if (gate_.exists()) gate_.finish(p, n, dp);
  down_.finish(last, n, second.empty() ? dp : dsecond);
}

std::vector<std::vector<RowsOf>> rows_of_units(const Places& places) {
  std::vector<std::vector<RowsOf>> rows(
      static_cast<std::size_t>(1 + places.sequences * places.units));
  for (std::int64_t b = 0; b < places.sequences; ++b) {
    std::int64_t unit = 0;
    for (const Band& band : places.bands)
      for (std::int64_t i = 0; i < band.units; ++i) {
        const std::int64_t r = band.routed ? 1 + b * places.units + unit++ : 0;
        rows[static_cast<std::size_t>(r)].push_back(
            {.first = b * places.positions + band.first + i * band.length, .count = band.length});
      }
  }
  return rows;
}

template ExpertRows<float> expert_rows<float>(const Parameters&, std::int64_t, const std::string&);
template ExpertRows<double> expert_rows<double>(const Parameters&,
                                                std::int64_t,
                                                const std::string&);
template class MergedMap<float>;
template class MergedMap<double>;
template class MergedMlp<float>;
template class MergedMlp<double>;

}  // namespace ration::train::experts
