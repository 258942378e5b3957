#include "fit/law.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "fit/laws/laws.h"

namespace ration::fit {

void Points::resize(std::size_t size) {
  log_params.resize(size);
  log_tokens.resize(size);
  log_unique.resize(size);
  repeats.resize(size);
}

void Points::set(std::size_t index, double log_n, double log_d, double log_u) {
  log_params[index] = log_n;
  log_tokens[index] = log_d;
  log_unique[index] = std::min(log_u, log_d);
  repeats[index] = std::expm1(log_d - log_unique[index]);
}

void Points::add(Params params, Tokens tokens, Tokens unique) {
  resize(size() + 1);
  set(size() - 1, std::log(params.value), std::log(tokens.value), std::log(unique.value));
  repeats.back() = std::max(tokens.value / unique.value - 1, 0.0);
}

double Parameter::value(double coordinate) const {
  return scale == Scale::log ? std::exp(coordinate) : coordinate;
}

double Parameter::coordinate(double value) const {
  return scale == Scale::log ? std::log(value) : value;
}

bool Parameter::is_exponent() const {
  return role == Role::params_exponent || role == Role::tokens_exponent ||
         role == Role::shared_exponent || role == Role::compute_exponent;
}

double BaseTerms::log_g() const {
  return (std::log(alpha) + log_a - std::log(beta) - log_b) / (alpha + beta);
}

double BaseTerms::optimal_log_params(double log_budget_over_6) const {
  return log_g() + beta / (alpha + beta) * log_budget_over_6;
}

double BaseTerms::log_params_for_tokens(double log_unique) const {
  return (std::log(alpha) + log_a - std::log(beta) - log_b + beta * log_unique) / alpha;
}

double Law::log_unrepeated_params(std::span<const double>, double log_n, double) const {
  return log_n;
}

double Law::log_effective_tokens(std::span<const double>, double log_d, double) const {
  return log_d;
}

Coordinates Law::typical() const {
  // A, B, E and exponents: "Chinchilla Scaling: A Replication Attempt" (2024), p and q being
  // A 6^eta and B 6^eta; the frontier that they imply falls as C^-0.18. nc, dc and their exponents:
  // "Scaling Laws for Neural Language Models" (2020). P: a penalty that is lost in the noise of
  // runs until tokens have been repeated ten times.
  constexpr std::array<std::pair<std::string_view, double>, 11> kNamed = {{{"A", 482},
                                                                           {"B", 2085},
                                                                           {"E", 1.82},
                                                                           {"p", 663},
                                                                           {"q", 2868},
                                                                           {"eta", 0.178},
                                                                           {"nc", 6.4e13},
                                                                           {"dc", 1.8e13},
                                                                           {"alpha_n", 0.076},
                                                                           {"alpha_d", 0.103},
                                                                           {"P", 1e-3}}};
  Coordinates x;
  for (const Parameter& parameter : parameters()) {
    using Role = Parameter::Role;
    double value = 1;
    if (parameter.role == Role::params_exponent) value = 0.348;
    if (parameter.role == Role::tokens_exponent) value = 0.366;
    if (parameter.role == Role::shared_exponent) value = 0.357;
    if (parameter.role == Role::compute_exponent) value = 0.18;
    if (parameter.role == Role::data_decay || parameter.role == Role::params_decay) value = 10;
    for (const auto& [name, known] : kNamed)
      if (parameter.name == name) value = known;
    x.push_back(std::clamp(parameter.coordinate(value), parameter.lower, parameter.upper));
  }
  return x;
}

std::span<const Law* const> all_laws() {
  static const std::array<const Law*, 16> laws = {&chinchilla(),
                                                  &chinchilla_tied(),
                                                  &outer_exponent(),
                                                  &over_training(),
                                                  &joint_decay(),
                                                  &data_constrained(),
                                                  &data_constrained_tied(),
                                                  &data_constrained_data(),
                                                  &data_constrained_outer(),
                                                  &data_constrained_geometric(),
                                                  &overfit_penalty(),
                                                  &overfit_penalty_linear(),
                                                  &saturating_penalty(),
                                                  &power_params(),
                                                  &power_tokens(),
                                                  &power_compute()};
  return laws;
}

const Law* find_law(std::string_view name) {
  for (const Law* law : all_laws())
    if (law->name() == name) return law;
  return nullptr;
}

std::vector<std::string> law_names() {
  std::vector<std::string> names;
  for (const Law* law : all_laws()) names.emplace_back(law->name());
  return names;
}

}  // namespace ration::fit
