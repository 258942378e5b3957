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

constexpr std::int64_t kPanelBytes = 128 << 10;  // of all experts: an eighth of a second cache
constexpr std::int64_t kGradientsAtOnce = 8;     // of merged experts, before they are spread

// out [numbers] = p [E] rows [E,numbers]. Hard routers give most experts no weight.
template <class Real>
void merge(const Real* p,
           std::int64_t experts,
           const Real* rows,
           std::int64_t apart,
           std::int64_t numbers,
           Real* out) {
  std::int64_t first = 0, end = experts;
  while (first < end - 1 && p[first] == 0) ++first;
  while (end - 1 > first && p[end - 1] == 0) --end;
  cpu::combine<Real>(1,
                     numbers,
                     end - first,
                     {p + first, experts, 1},
                     {rows + first * apart, apart},
                     {out, numbers},
                     cpu::Store::replace);
}

// Adds p' gradients, of n merged experts, to those of all experts from number `first` of each on,
// and gradients times experts to dp [n,E].
template <class Real>
void spread(const ExpertRows<Real>& all,
            std::int64_t first,
            std::int64_t numbers,
            const Real* p,
            std::int64_t n,
            const Real* gradients,
            Real* dp) {
  cpu::combine<Real>(all.experts,
                     numbers,
                     n,
                     {p, 1, all.experts},
                     {gradients, numbers},
                     {all.grads + first, all.apart},
                     cpu::Store::add);
  cpu::add_dots<Real>(n,
                      all.experts,
                      numbers,
                      {gradients, numbers},
                      {all.values + first, all.apart},
                      {dp, all.experts});
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
  out_ = shape[0], in_ = shape[1];
  const auto row = weight_.experts * in_ * static_cast<std::int64_t>(sizeof(Real));
  panel_ =
      std::min(out_,
               std::max(2 * cpu::Lanes<Real>::kCount,
                        kPanelBytes / row / cpu::Lanes<Real>::kCount * cpu::Lanes<Real>::kCount));
  columns_.resize(static_cast<std::size_t>(weight_.experts * in_ * out_));
}

template <class Real>
std::int64_t MergedMap<Real>::outputs_of(std::int64_t panel) const {
  return std::min(panel_, out_ - panel * panel_);
}

template <class Real>
void MergedMap<Real>::refresh() {
  if (!exists()) return;
  in_parts(weight_.experts * panels(), [&](cpu::Range range, std::int64_t) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      const std::int64_t expert = i / panels(), panel = i % panels(), outputs = outputs_of(panel);
      const std::int64_t place = panel * panel_ * in_;
      cpu::transpose(outputs,
                     in_,
                     weight_.values + expert * weight_.apart + place,
                     columns_.data() + expert * in_ * out_ + place,
                     outputs);
    }
  });
}

// body(panel, its rows, weights) for each panel of each merged expert that has rows, with its
// weights merged of those of all experts, which lie `apart`; panels begin at multiples of panel_ x
// in_.
template <class Real>
template <class Body>
void MergedMap<Real>::in_panels(std::span<const Real> p,
                                std::span<const std::vector<RowsOf>> rows,
                                cpu::Range range,
                                const Real* all,
                                std::int64_t apart,
                                const Body& body) const {
  const std::int64_t experts = weight_.experts;
  cpu::Buffer<Real> merged(static_cast<std::size_t>(panel_ * in_));
  for (std::int64_t panel = 0; panel < panels(); ++panel)
    for (std::int64_t r = range.begin; r < range.end; ++r) {
      if (rows[static_cast<std::size_t>(r)].empty()) continue;
      merge(p.data() + r * experts,
            experts,
            all + panel * panel_ * in_,
            apart,
            outputs_of(panel) * in_,
            merged.data());
      body(panel, rows[static_cast<std::size_t>(r)], merged.data());
    }
}

template <class Real>
void MergedMap<Real>::forward(std::span<const Real> p,
                              std::span<const std::vector<RowsOf>> rows,
                              const Real* x,
                              Real* y) const {
  const auto compute =
      [&](std::int64_t panel, const std::vector<RowsOf>& own, const Real* columns) {
        const std::int64_t outputs = outputs_of(panel);
        for (const RowsOf& its : own)
          cpu::product<Real>(its.count,
                             outputs,
                             in_,
                             {x + its.first * in_, in_, 1},
                             {columns, outputs},
                             {y + its.first * out_ + panel * panel_, out_},
                             cpu::Store::replace);
      };
  in_parts(std::ssize(rows), [&](cpu::Range range, std::int64_t) {
    in_panels(p, rows, range, columns_.data(), in_ * out_, compute);
    if (bias_.values == nullptr) return;
    const std::int64_t experts = bias_.experts;
    cpu::Buffer<Real> merged(static_cast<std::size_t>(out_));
    for (std::int64_t r = range.begin; r < range.end; ++r) {
      merge(p.data() + r * experts, experts, bias_.values, bias_.apart, out_, merged.data());
      for (const RowsOf& its : rows[static_cast<std::size_t>(r)])
        cpu::add_bias({0, its.count}, out_, merged.data(), y + its.first * out_);
    }
  });
}

template <class Real>
void MergedMap<Real>::backward_input(std::span<const Real> p,
                                     std::span<const std::vector<RowsOf>> rows,
                                     const Real* dy,
                                     Real* dx,
                                     cpu::Store store) const {
  const auto compute =
      [&](std::int64_t panel, const std::vector<RowsOf>& own, const Real* weights) {
        for (const RowsOf& its : own)
          cpu::product<Real>(its.count,
                             in_,
                             outputs_of(panel),
                             {dy + its.first * out_ + panel * panel_, out_, 1},
                             {weights, in_},
                             {dx + its.first * in_, in_},
                             panel == 0 ? store : cpu::Store::add);
      };
  in_parts(std::ssize(rows), [&](cpu::Range range, std::int64_t) {
    in_panels(p, rows, range, weight_.values, weight_.apart, compute);
  });
}

// A panel's gradients are summed by one thread, over merged experts in their order.
template <class Real>
void MergedMap<Real>::backward_weights(std::span<const Real> p,
                                       std::span<const std::vector<RowsOf>> rows,
                                       const Real* x,
                                       const Real* dy,
                                       std::span<Real> dp) const {
  const std::int64_t n = std::ssize(rows), experts = weight_.experts;
  cpu::Buffer<Real> dp_of_panels(static_cast<std::size_t>(panels() * n * experts));
  in_parts(panels(), [&](cpu::Range range, std::int64_t) {
    cpu::Buffer<Real> weights(static_cast<std::size_t>(kGradientsAtOnce * panel_ * in_));
    cpu::Buffer<Real> biases(static_cast<std::size_t>(kGradientsAtOnce * panel_));
    for (std::int64_t panel = range.begin; panel < range.end; ++panel) {
      const std::int64_t first = panel * panel_, outputs = outputs_of(panel);
      for (std::int64_t r0 = 0; r0 < n; r0 += kGradientsAtOnce) {
        const std::int64_t count = std::min(kGradientsAtOnce, n - r0);
        for (std::int64_t r = r0; r < r0 + count; ++r) {
          Real* weight = weights.data() + (r - r0) * outputs * in_;
          Real* bias = biases.data() + (r - r0) * outputs;
          const std::vector<RowsOf>& own = rows[static_cast<std::size_t>(r)];
          if (own.empty()) std::fill_n(weight, outputs * in_, Real(0));
          std::fill_n(bias, outputs, Real(0));
          for (const RowsOf& its : own) {
            const Real* d = dy + its.first * out_ + first;
            cpu::product<Real>(outputs,
                               in_,
                               its.count,
                               {d, 1, out_},
                               {x + its.first * in_, in_},
                               {weight, in_},
                               &its == own.data() ? cpu::Store::replace : cpu::Store::add);
            if (bias_.values == nullptr) continue;
            for (std::int64_t row = 0; row < its.count; ++row)
              cpu::add({0, outputs}, bias, d + row * out_, bias);
          }
        }
        const Real* shares = p.data() + r0 * experts;
        Real* its_dp = dp_of_panels.data() + (panel * n + r0) * experts;
        spread(weight_, first * in_, outputs * in_, shares, count, weights.data(), its_dp);
        if (bias_.values != nullptr)
          spread(bias_, first, outputs, shares, count, biases.data(), its_dp);
      }
    }
  });
  for (std::int64_t i = 0; i < std::ssize(dp_of_panels); ++i)
    dp[static_cast<std::size_t>(i % (n * experts))] += dp_of_panels[static_cast<std::size_t>(i)];
}

template <class Real>
MergedMlp<Real>::MergedMlp(const run::RunSpec& spec,
                           const Parameters& parameters,
                           std::int64_t layer)
    : activation_(cpu::activation_of(spec.mlp)),
      hidden_(run::expert_width(spec)),
      up_(parameters, layer, "up"),
      gate_(parameters, layer, "gate"),
      down_(parameters, layer, "down") {}

template <class Real>
void MergedMlp<Real>::refresh() {
  for (MergedMap<Real>* map : {&up_, &gate_, &down_}) map->refresh();
}

template <class Real>
void MergedMlp<Real>::forward(std::span<const Real> p,
                              std::span<const Real> second,
                              std::span<const std::vector<RowsOf>> rows,
                              const Values& v,
                              Real* y) {
  up_.forward(p, rows, v.x, v.up);
  if (gate_.exists()) gate_.forward(p, rows, v.x, v.gate);
  in_parts(std::ssize(rows), [&](cpu::Range range, std::int64_t) {
    for (std::int64_t r = range.begin; r < range.end; ++r)
      for (const RowsOf& its : rows[static_cast<std::size_t>(r)])
        cpu::activate({its.first * hidden_, (its.first + its.count) * hidden_},
                      activation_,
                      v.up,
                      v.gate,
                      v.hidden);
  });
  down_.forward(second.empty() ? p : second, rows, v.hidden, y);
}

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
  constexpr auto replace = cpu::Store::replace, add = cpu::Store::add;
  const std::span<const Real> last = second.empty() ? p : second;
  down_.backward_input(last, rows, dy, dhidden, replace);
  down_.backward_weights(last, rows, v.hidden, dy, second.empty() ? dp : dsecond);
  in_parts(std::ssize(rows), [&](cpu::Range range, std::int64_t) {
    for (std::int64_t r = range.begin; r < range.end; ++r)
      for (const RowsOf& its : rows[static_cast<std::size_t>(r)])
        cpu::activation_backward(
            {its.first * hidden_, (its.first + its.count) * hidden_}, dhidden, v.up, v.gate);
  });
  up_.backward_input(p, rows, v.up, dx, replace);
  up_.backward_weights(p, rows, v.x, v.up, dp);
  if (!gate_.exists()) return;
  gate_.backward_input(p, rows, v.gate, dx, add);
  gate_.backward_weights(p, rows, v.x, v.gate, dp);
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
