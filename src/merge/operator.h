#pragma once

// How a method turns numbers of the inputs into numbers of the output. For this room and region.

#include <memory>
#include <span>

#include "base/result.h"
#include "merge/layout.h"
#include "merge/merge.h"
#include "merge/pieces.h"

namespace ration::merge {

class Operator {
 public:
  virtual ~Operator() = default;

  // Whatever needs a look at all tensors, before the first is merged.
  virtual Result<void> prepare(const Layout&) { return {}; }
  // Whatever needs a look at the whole of one tensor, before its pieces.
  virtual Result<void> begin(const Tensor&) { return {}; }
  // Whether merge() reads the base, so that it notes where the base is not finite.
  virtual bool reads_base() const { return false; }
  // Elements first … first + out.size() - 1; several threads at once.
  virtual void merge(const Tensor& tensor,
                     std::uint64_t first,
                     Scratch& scratch,
                     std::span<double> out) const = 0;

  // After the last tensor.
  virtual void end() {}

  std::vector<std::string> warnings;
};

std::unique_ptr<Operator> make_weighted(const Recipe& recipe, bool has_base);
std::unique_ptr<Operator> make_tau_operator(const Recipe& recipe, const Options& options);
std::unique_ptr<Operator> make_fisher(const Recipe& recipe, int threads);
std::unique_ptr<Operator> make_regmean(const Recipe& recipe, int threads);
std::unique_ptr<Operator> make_slerp(const Recipe& recipe, int threads);
std::unique_ptr<Operator> make_middle(const Recipe& recipe);

// tau of one model; notes in scratch when a number is not finite.
void load_tau(const Tensor& tensor,
              std::size_t model,
              std::uint64_t first,
              Scratch& scratch,
              std::span<double> to);
// The numbers of one source, with the same note.
void load(const Source& source, std::uint64_t first, Scratch& scratch, std::span<double> to);

}  // namespace ration::merge
