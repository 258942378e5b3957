#pragma once

// The MLP of layers whose experts are whole MLPs (kind ffn), merged for each unit: what Layer
// defines, forward and backward written out on the kernels of train/cpu.
//
//   forward    theta_r = P_r Theta for each merged expert r, y = f(x; theta_r) for its rows
//   backward   theta_r once more for dx; dtheta_r over its rows, dTheta = P' dtheta, dP = dtheta
//   Theta'

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

// Rows of activations [B T, …] that one merged expert computes.
struct RowsOf {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// A map y = x W' + b of all experts. Merged expert r, of weights p[r] [n,E], computes rows[r].
//
// A panel of outputs is merged and used at once, before the next one: of all experts and of one
// merged expert it fits a core's second cache, so that merged weights and their gradients are
// nowhere as a whole.
template <class Real>
class MergedMap {
 public:
  MergedMap() = default;
  MergedMap(const Parameters& parameters, std::int64_t layer, const std::string& name);

  bool exists() const { return weight_.values != nullptr; }

  // To be called after the weights changed and before forward().
  void refresh();

  // x [rows,in] to y [rows,out].
  void forward(std::span<const Real> p,
               std::span<const std::vector<RowsOf>> rows,
               const Real* x,
               Real* y) const;

  // dx [rows,in] = or += dy W.
  void backward_input(std::span<const Real> p,
                      std::span<const std::vector<RowsOf>> rows,
                      const Real* dy,
                      Real* dx,
                      cpu::Store store) const;

  // Adds to the gradients of all experts, and to dp [n,E].
  void backward_weights(std::span<const Real> p,
                        std::span<const std::vector<RowsOf>> rows,
                        const Real* x,
                        const Real* dy,
                        std::span<Real> dp) const;

 private:
  std::int64_t panels() const { return (out_ + panel_ - 1) / panel_; }
  std::int64_t outputs_of(std::int64_t panel) const;
  template <class Body>
  void in_panels(std::span<const Real> p,
                 std::span<const std::vector<RowsOf>> rows,
                 cpu::Range range,
                 const Real* all,
                 std::int64_t apart,
                 const Body& body) const;

  std::int64_t in_ = 0, out_ = 0;
  std::int64_t panel_ = 0;  // outputs that are merged together
  ExpertRows<Real> weight_, bias_;
  cpu::Buffer<Real> columns_;  // [E, panels, in, panel]: W' of each expert, panel by panel
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

 private:
  cpu::Activation activation_;
  std::int64_t hidden_;
  MergedMap<Real> up_, gate_, down_;
};

// Which rows of a chunk of B sequences each merged expert computes: expert 0 all that nothing
// routes, expert 1 + b U + u unit u of sequence b.
std::vector<std::vector<RowsOf>> rows_of_units(const Places& places);

}  // namespace ration::train::experts
