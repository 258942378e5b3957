#pragma once

// What the laws of the form L = E + A N'^-alpha + B D'^-beta share.

#include <algorithm>
#include <array>
#include <cmath>

#include "fit/law.h"

namespace ration::fit {

// ln L and its derivatives by ln A, ln B and ln E: the softmax weights of the terms, and what an
// outer exponent makes of them.
struct ThreeTerms {
  double log_loss = 0;
  double share_params = 0, share_tokens = 0, share_floor = 0;
  double by_log_outer = 0;  // d ln L / d ln k
};

// L = E + A' + B' from the three logarithms, stable for any finite input.
inline ThreeTerms sum_terms(double log_params_term, double log_tokens_term, double log_floor) {
  const double largest = std::max({log_params_term, log_tokens_term, log_floor});
  const double params_term = std::exp(log_params_term - largest);
  const double tokens_term = std::exp(log_tokens_term - largest);
  const double floor = std::exp(log_floor - largest);
  const double sum = params_term + tokens_term + floor;
  return {largest + std::log(sum), params_term / sum, tokens_term / sum, floor / sum, 0};
}

// ln(e^x + e^y) and the share of each.
struct TwoTerms {
  double log_sum = 0;
  double share_first = 0, share_second = 0;
};
inline TwoTerms sum_terms(double log_first, double log_second) {
  const double larger = std::max(log_first, log_second);
  const double first = std::exp(log_first - larger);
  const double second = std::exp(log_second - larger);
  return {larger + std::log(first + second), first / (first + second), second / (first + second)};
}

// L = E + (A' + B')^k.
inline ThreeTerms sum_terms_outer(double log_params_term,
                                  double log_tokens_term,
                                  double log_floor,
                                  double outer) {
  const TwoTerms inner = sum_terms(log_params_term, log_tokens_term);
  const TwoTerms whole = sum_terms(outer * inner.log_sum, log_floor);
  const double share = outer * whole.share_first;
  return {whole.log_sum,
          share * inner.share_first,
          share * inner.share_second,
          whole.share_second,
          share * inner.log_sum};
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
     Parameter::Role::params_exponent},
    {"beta",
     Scale::linear,
     1e-3,
     4,
     "how fast loss falls with tokens",
     Parameter::Role::tokens_exponent},
}};

inline constexpr Parameter kTiedExponent = {"alpha",
                                            Scale::linear,
                                            1e-3,
                                            4,
                                            "how fast loss falls with parameters and with tokens",
                                            Parameter::Role::shared_exponent};

inline constexpr Parameter kOuterExponent = {
    "k", Scale::log, -3, 3, "exponent of the sum of both falling terms; 1 is no exponent"};

}  // namespace ration::fit
