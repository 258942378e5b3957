#include "plan/remedies/law_curves.h"

namespace ration::plan {
namespace {

// So far around ln D that a law is searched: 26 orders of magnitude.
constexpr double kFar = 60;

}  // namespace

LawCurves::LawCurves(const fit::Law& law, std::span<const double> x)
    : law_(law), x_(x.begin(), x.end()), plain_(x_) {
  // A decay constant of e^40 repeats leaves every parameter its full worth to the last bit.
  constexpr double kNoDecay = 40;
  const std::span<const fit::Parameter> parameters = law.parameters();
  for (std::size_t j = 0; j < parameters.size(); ++j)
    if (parameters[j].role == fit::Parameter::Role::params_decay) plain_[j] = kNoDecay;
  point_.resize(1);
}

double LawCurves::evaluate(std::span<const double> x, double log_n, double log_d, double log_u) {
  point_.set(0, log_n, log_d, std::min(log_u, log_d));
  double log_loss = 0;
  law_.evaluate(x, point_, {&log_loss, 1}, {});
  return std::exp(log_loss);
}

double LawCurves::loss(double log_n, double log_d, double log_u) {
  return evaluate(x_, log_n, log_d, log_u);
}

double LawCurves::plain_loss(double log_n, double log_d) {
  return evaluate(plain_, log_n, log_d, log_d);
}

double LawCurves::slope(double log_n, double log_d, double log_u) {
  constexpr double kStep = 1e-4;  // cuts off 1e-8, rounds off 1e-12
  const double above = std::min(log_u + kStep, log_d), below = std::min(log_u, log_d) - kStep;
  return (loss(log_n, log_d, above) - loss(log_n, log_d, below)) / (above - below);
}

std::optional<double> LawCurves::log_unique(double log_n, double log_d, double loss_wanted) {
  if (loss(log_n, log_d, log_d) > loss_wanted) return std::nullopt;
  return last_above(
      log_d - kFar, log_d, [&](double log_u) { return loss(log_n, log_d, log_u) > loss_wanted; });
}

double LawCurves::log_effective_params(double log_n, double log_d) {
  const double fresh = loss(log_n, log_d, log_d);
  return last_above(log_n - kFar, log_n, [&](double n) { return plain_loss(n, log_d) > fresh; });
}

std::optional<double> LawCurves::log_fresh(double log_effective_n, double loss_wanted) {
  constexpr double kFewest = 0, kMost = 100;  // ln of one token and of 1e43
  if (plain_loss(log_effective_n, kMost) > loss_wanted) return std::nullopt;
  return last_above(
      kFewest, kMost, [&](double d) { return plain_loss(log_effective_n, d) > loss_wanted; });
}

std::optional<double> LawCurves::log_tokens(double log_n, double log_u, double loss_wanted) {
  const auto above = [&](double log_d) { return loss(log_n, log_d, log_u) > loss_wanted; };
  // Under a law with a penalty the loss rises again: look from below. Before the first epoch it
  // only falls.
  constexpr double kMostEpochs = 13.815510557964274;  // ln 1e6
  constexpr double kStride = 0.25;
  if (!above(log_u)) return last_above(log_u - kFar, log_u, above);
  for (double at = log_u; at < log_u + kMostEpochs; at += kStride)
    if (!above(at + kStride)) return last_above(at, at + kStride, above);
  return std::nullopt;
}

}  // namespace ration::plan
