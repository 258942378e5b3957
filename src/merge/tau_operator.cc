// Methods on task vectors: thinned out or not (TIES's trimming, DARE's dropping), then added up or
// merged by TIES's election, then scaled by lambda and added to the base.

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <numeric>
#include <optional>

#include "merge/drop.h"
#include "merge/election.h"
#include "merge/numbers.h"
#include "merge/operator.h"
#include "merge/trim.h"

namespace ration::merge {
namespace {

class TauOperator final : public Operator {
 public:
  TauOperator(const Recipe& recipe, const Options& options)
      : recipe_(recipe),
        threads_(options.threads),
        weights_(recipe.weights.empty() ? std::vector<double>(recipe.models.size(), 1)
                                        : recipe.weights) {
    if (recipe.method == "ties" || recipe.method == "dare_ties") election_.emplace(recipe);
    if (recipe.method == "dare_linear" || recipe.method == "dare_ties")
      drop_.emplace(recipe, options.mask);
    if (!election_ && recipe.normalize.value_or(false))
      divisor_ = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  }

  Result<void> prepare(const Layout& layout) override {
    if (recipe_.method == "ties" && recipe_.trim)
      if (Result<void> done = trim(layout); !done) return done;
    if (drop_) drop_->prepare(layout, threads_);
    if (election_ && election_->needs_majority()) count_signs(layout);
    return {};
  }

  bool reads_base() const override { return true; }

  void merge(const Tensor& tensor,
             std::uint64_t first,
             Scratch& scratch,
             std::span<double> out) const override {
    const std::size_t count = out.size();
    const std::span<double> delta = scratch.array(kDelta, count);
    if (election_) {
      const std::vector<std::span<double>> tau = thinned(tensor, first, scratch, count);
      const std::span<double> mass = scratch.array(kMass, count);
      if (recipe_.elect) election_->mass(tau, mass);
      election_->decide(tau, mass, scratch.array(kWork, count), delta);
    } else {
      std::fill(delta.begin(), delta.end(), 0.0);
      for (std::size_t i = 0; i < weights_.size(); ++i) {
        const std::span<double> tau = scratch.array(kTau, count);
        read(tensor, i, first, scratch, tau);
        const double weight = weights_[i];
        for (std::size_t j = 0; j < count; ++j) delta[j] += weight * tau[j];
      }
      if (divisor_ != 1)
        for (double& number : delta) number /= divisor_;
    }
    load(tensor.base, first, scratch, out);
    const double lambda = recipe_.lambda;
    bool changes = false;
    // What did not change keeps its bits, the sign of a zero, too.
    for (std::size_t j = 0; j < count; ++j) {
      out[j] = delta[j] == 0 ? out[j] : out[j] + lambda * delta[j];
      changes = changes || delta[j] != 0;
    }
    if (changes) changes_.store(true, std::memory_order_relaxed);
  }

  void end() override {
    if (!changes_)
      warnings.push_back("the output equals the base: no entry of a task vector is left");
  }

 private:
  enum Arrays : std::size_t { kDelta, kMass, kWork, kTau };

  // One thinned task vector.
  void read(const Tensor& tensor,
            std::size_t model,
            std::uint64_t first,
            Scratch& scratch,
            std::span<double> tau) const {
    load_tau(tensor, model, first, scratch, tau);
    if (const auto cuts = cuts_.find(scope_of(tensor)); cuts != cuts_.end())
      apply(cuts->second[model], tensor.flat + first, tau);
    if (drop_) drop_->apply(tensor, model, first, scratch, tau);
  }

  std::vector<std::span<double>> thinned(const Tensor& tensor,
                                         std::uint64_t first,
                                         Scratch& scratch,
                                         std::size_t count) const {
    std::vector<std::span<double>> tau;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      tau.push_back(scratch.array(kTau + i, count));
      read(tensor, i, first, scratch, tau.back());
    }
    return tau;
  }

  const Tensor* scope_of(const Tensor& tensor) const {
    return recipe_.scope == "global" ? nullptr : &tensor;
  }

  Result<void> trim(const Layout& layout) {
    Keep keep;
    keep.inclusive = recipe_.compat == "ties-ref";
    keep.share = recipe_.k > 1 ? recipe_.k / 100 : recipe_.k;
    if (recipe_.scope == "global") return trim_scope(nullptr, pieces_of(layout), keep);
    for (const Tensor& tensor : layout.tensors) {
      if (!tensor.merged) continue;
      if (Result<void> done = trim_scope(&tensor, pieces_of(tensor), keep); !done) return done;
      if (keep.share * static_cast<double>(tensor.count) < 1 && !keep.inclusive)
        warnings.push_back(fmt::format("tensor \"{}\" keeps none of its {} entries at k = {}",
                                       tensor.out.name,
                                       tensor.count,
                                       recipe_.k));
    }
    return {};
  }

  Result<void> trim_scope(const Tensor* scope, const std::vector<Piece>& pieces, const Keep& keep) {
    Result<std::vector<Cut>> cuts = find_cuts(pieces, weights_.size(), keep, threads_);
    if (!cuts) return std::move(cuts).error();
    cuts_[scope] = std::move(*cuts);
    return {};
  }

  void count_signs(const Layout& layout) {
    const std::vector<Piece> pieces = pieces_of(layout);
    std::vector<std::int64_t> sums(pieces.size());
    std::vector<Scratch> states(static_cast<std::size_t>(thread_count(threads_)));
    for_pieces(pieces.size(), std::span(states), [&](std::size_t p, Scratch& scratch) {
      if (!whole(*pieces[p].tensor)) return;  // merging refuses it
      for_chunks(pieces[p], [&](std::uint64_t first, std::size_t count) {
        const std::vector<std::span<double>> tau =
            thinned(*pieces[p].tensor, first, scratch, count);
        const std::span<double> mass = scratch.array(kMass, count);
        election_->mass(tau, mass);
        std::int64_t sum = 0;
        for (const double number : mass) sum += (number > 0 ? 1 : 0) - (number < 0 ? 1 : 0);
        sums[p] += sum;
      });
      release(pieces[p]);
    });
    election_->set_majority(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}));
  }

  Recipe recipe_;
  int threads_;
  std::vector<double> weights_;
  double divisor_ = 1;
  std::optional<Election> election_;
  std::optional<Drop> drop_;
  mutable std::atomic<bool> changes_ = false;       // any element of the base
  std::map<const Tensor*, std::vector<Cut>> cuts_;  // null: of all tensors together
};

}  // namespace

std::unique_ptr<Operator> make_tau_operator(const Recipe& recipe, const Options& options) {
  return std::make_unique<TauOperator>(recipe, options);
}

}  // namespace ration::merge
