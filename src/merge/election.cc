#include "merge/election.h"

#include <cmath>
#include <numeric>

namespace ration::merge {
namespace {

constexpr double kSmallestSum = 1e-8;  // of weights; below it nothing is divided, as in mergekit

double sign(double number) { return number > 0 ? 1.0 : number < 0 ? -1.0 : 0.0; }

}  // namespace

Election::Election(const Recipe& recipe)
    : recipe_(recipe),
      weights_(recipe.weights.empty() ? std::vector<double>(recipe.models.size(), 1)
                                      : recipe.weights),
      zero_sign_(recipe.zero_sign == "plus" ? 1 : 0),
      divides_(recipe.aggregate == "mean" && recipe.normalize.value_or(true)),
      shares_(weights_),
      float_sums_(!recipe.compat.empty()) {
  // Divided by w itself, a model of weight -1 would count as one of weight 1: mergekit does so.
  if (recipe.compat != "mergekit")
    for (double& share : shares_) share = std::fabs(share);
}

bool Election::needs_majority() const { return recipe_.elect && recipe_.zero_sign == "majority"; }

void Election::set_majority(std::int64_t sum_of_signs) {
  zero_sign_ = sign(static_cast<double>(sum_of_signs));
  // The reference tests "is plus", so that without a majority it is minus; its maximum is
  // multiplied by the sign.
  if (zero_sign_ == 0 && recipe_.compat == "ties-ref" && recipe_.aggregate != "max")
    zero_sign_ = -1;
}

void Election::mass(std::span<const std::span<double>> tau, std::span<double> mass) const {
  std::fill(mass.begin(), mass.end(), 0.0);
  for (std::size_t i = 0; i < tau.size(); ++i) {
    const double weight = weights_[i];
    const double* const entries = tau[i].data();
    double* const sum = mass.data();
    if (recipe_.consensus == "count")
      for (std::size_t j = 0; j < mass.size(); ++j) sum[j] += sign(weight * entries[j]);
    else if (float_sums_)
      for (std::size_t j = 0; j < mass.size(); ++j)
        sum[j] = static_cast<float>(sum[j] + static_cast<float>(weight * entries[j]));
    else
      for (std::size_t j = 0; j < mass.size(); ++j) sum[j] += weight * entries[j];
  }
}

void Election::decide(std::span<const std::span<double>> tau,
                      std::span<double> mass,
                      std::span<double> work,
                      std::span<double> merged) const {
  const std::size_t count = merged.size();
  if (recipe_.elect) {
    for (double& number : mass) {
      const double elected = sign(number);
      number = elected == 0 ? zero_sign_ : elected;
    }
  }
  if (recipe_.aggregate == "max") return largest(tau, mass, merged);
  double* const sum = merged.data();
  double* const divisor = work.data();
  std::fill_n(sum, count, 0.0);
  std::fill_n(divisor, count, 0.0);
  for (std::size_t i = 0; i < tau.size(); ++i) {
    const double weight = weights_[i], share = shares_[i];
    const double* const entries = tau[i].data();
    const double* const elected = mass.data();
    if (recipe_.elect) {
      for (std::size_t j = 0; j < count; ++j) {
        const double entry = weight * entries[j];
        const bool agrees = entry * elected[j] > 0;
        sum[j] += agrees ? entry : 0;
        divisor[j] += agrees ? share : 0;
      }
    } else {
      for (std::size_t j = 0; j < count; ++j) {
        sum[j] += weight * entries[j];
        divisor[j] += entries[j] != 0 ? share : 0;
      }
    }
  }
  if (!divides_) return;
  if (!recipe_.disjoint)
    std::fill_n(divisor, count, std::accumulate(shares_.begin(), shares_.end(), 0.0));
  for (std::size_t j = 0; j < count; ++j)
    sum[j] /= std::fabs(divisor[j]) < kSmallestSum ? 1 : divisor[j];
}

// The largest entry of those that agree.
void Election::largest(std::span<const std::span<double>> tau,
                       std::span<const double> elected,
                       std::span<double> merged) const {
  std::fill(merged.begin(), merged.end(), 0.0);
  for (std::size_t i = 0; i < tau.size(); ++i)
    for (std::size_t j = 0; j < merged.size(); ++j) {
      const double entry = weights_[i] * tau[i][j];
      const bool agrees = !recipe_.elect || entry * elected[j] > 0;
      if (agrees && std::fabs(entry) > std::fabs(merged[j])) merged[j] = entry;
    }
}

}  // namespace ration::merge
