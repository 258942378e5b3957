#pragma once

// What the laws of the form L = E + A N'^-alpha + B D'^-beta share.

#include <algorithm>
#include <array>
#include <cmath>

#include "fit/law.h"

namespace ration::fit {

// ln L and the share of each term in L: the softmax weights, which are also d ln L / d(a, b, e).
struct ThreeTerms {
  double log_loss = 0;
  double share_params = 0, share_tokens = 0, share_floor = 0;
};

// Log-sum-exp of the three logarithms, stable for any finite input.
inline ThreeTerms sum_terms(double log_params_term, double log_tokens_term, double log_floor) {
  const double largest = std::max({log_params_term, log_tokens_term, log_floor});
  const double params_term = std::exp(log_params_term - largest);
  const double tokens_term = std::exp(log_tokens_term - largest);
  const double floor = std::exp(log_floor - largest);
  const double sum = params_term + tokens_term + floor;
  return {largest + std::log(sum), params_term / sum, tokens_term / sum, floor / sum};
}

// Wide enough for every published fit by far, and finite so that an estimate can be seen to run
// away.
inline constexpr std::array<Parameter, 5> kTermParameters = {{
    {"A", Scale::log, -20, 60, "scale of the term that falls with parameters, nats a token"},
    {"B", Scale::log, -20, 60, "scale of the term that falls with tokens, nats a token"},
    {"E", Scale::log, -7, 5, "loss that no model goes below, nats a token", Parameter::Role::floor},
    {"alpha",
     Scale::linear,
     1e-3,
     4,
     "how fast loss falls with parameters",
     Parameter::Role::exponent},
    {"beta", Scale::linear, 1e-3, 4, "how fast loss falls with tokens", Parameter::Role::exponent},
}};

}  // namespace ration::fit
