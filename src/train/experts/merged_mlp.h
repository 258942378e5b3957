#pragma once

// The MLP of layers whose experts are whole MLPs (kind ffn), merged for each unit: what Layer
// defines, forward and backward written out on the kernels of train/cpu.
//
//   forward    theta_r = P_r Theta for each merged expert r, y = f(x; theta_r) for its rows
//   backward   theta_r once more, dtheta_r over its rows, dTheta = P' dtheta, dP = dtheta Theta'

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "run/spec.h"
#include "train/cpu/buffer.h"
#include "train/cpu/product.h"
#include "train/cpu/rows.h"
#include "train/experts/places.h"
#include "train/parameters.h"

namespace ration::train::experts {

// One tensor of all experts: row e begins `apart` numbers behind row e - 1.
template <class Real>
struct ExpertRows {
  const Real* values = nullptr;
  Real* grads = nullptr;
  std::int64_t experts = 0;
  std::int64_t numbers = 0;
  std::int64_t apart = 0;
};

template <class Real>
ExpertRows<Real> expert_rows(const Parameters& parameters,
                             std::int64_t layer,
                             const std::string& name);

// A map y = x W' + b of all experts, of which any number are merged at once.
template <class Real>
class MergedMap {
 public:
  MergedMap() = default;
  MergedMap(const Parameters& parameters, std::int64_t layer, const std::string& name);

  bool exists() const { return weight_.values != nullptr; }
  std::int64_t out() const { return out_; }

  // To be called after the weights changed and before merge().
  void refresh();

  // Merged experts by the rows of p [n,E]; for forward().
  void merge(std::span<const Real> p, std::int64_t n);
  // Rows x [rows,in] by merged expert r.
  void forward(std::int64_t r, std::int64_t rows, const Real* x, Real* y) const;

  // The same experts for backward().
  void merge_for_backward(std::span<const Real> p, std::int64_t n);
  // The gradients of merged expert r are replaced or added to; dx [rows,in] = or += dy W.
  void backward(std::int64_t r,
                std::int64_t rows,
                const Real* x,
                const Real* dy,
                Real* dx,
                cpu::Store into_x,
                cpu::Store into_gradient);
  void clear_gradient(std::int64_t r);  // of one that computed nothing
  // Adds what the merged experts' gradients are to all experts, and to dp [n,E].
  void finish(std::span<const Real> p, std::int64_t n, std::span<Real> dp);

  void release();

 private:
  std::int64_t in_ = 0, out_ = 0, padded_ = 0;
  ExpertRows<Real> weight_, bias_;
  cpu::Buffer<Real> columns_;         // [E,in,padded]: each expert's W'
  cpu::Buffer<Real> merged_columns_;  // [n,in,padded]
  cpu::Buffer<Real> merged_bias_;     // [n,out]
  cpu::Buffer<Real> merged_;          // [n,out,in]
  cpu::Buffer<Real> gradients_;       // [n,out,in]
  cpu::Buffer<Real> bias_gradients_;  // [n,out]
};

// Rows of activations [B T, …] that one merged expert computes.
struct RowsOf {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

template <class Real>
class MergedMlp {
 public:
  // Activations of all rows: what the MLP of a layer keeps (passes.cc), of one stride.
  struct Values {
    const Real* x = nullptr;  // [rows,C]
    Real* up = nullptr;       // [rows,F]; after forward() derivatives, after backward() gradients
    Real* gate = nullptr;     // the same, or none
    Real* hidden = nullptr;   // [rows,F]
  };

  MergedMlp(const run::RunSpec& spec, const Parameters& parameters, std::int64_t layer);

  void refresh();

  // Merged expert r computes rows[r] by weights p[r] [n,E], its last map by `second` where that is
  // not empty. y [rows,C].
  void forward(std::span<const Real> p,
               std::span<const Real> second,
               std::span<const std::vector<RowsOf>> rows,
               const Values& values,
               Real* y);

  // From dy to dx, both [rows,C]; dhidden [rows,F] is work space. Adds to the gradients of all
  // experts, and to dp [n,E], and to dsecond where there is one.
  void backward(std::span<const Real> p,
                std::span<const Real> second,
                std::span<const std::vector<RowsOf>> rows,
                const Values& values,
                const Real* dy,
                Real* dhidden,
                Real* dx,
                std::span<Real> dp,
                std::span<Real> dsecond);

  void release();

 private:
  cpu::Activation activation_;
  std::int64_t width_, hidden_;
  MergedMap<Real> up_, gate_, down_;
};

// Which rows of a chunk of B sequences each merged expert computes: expert 0 all that nothing
// routes, expert 1 + b U + u unit u of sequence b.
std::vector<std::vector<RowsOf>> rows_of_units(const Places& places);

}  // namespace ration::train::experts
