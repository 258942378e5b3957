#pragma once

// What the laws of the form L = E + A N'^-alpha + B D'^-beta share.

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "fit/law.h"
#include "fit/vector_math.h"

namespace ration::fit {

// Laws run over their points in blocks, so that exponentials and logarithms are taken over arrays
// (vector_math.h) that stay in the processor's nearest cache.
inline constexpr std::size_t kBlock = 128;
using Block = std::array<double, kBlock>;

// body(first, size) for every block of `points`.
template <class Body>
void for_blocks(std::size_t points, const Body& body) {
  for (std::size_t first = 0; first < points; first += kBlock)
    body(first, std::min(kBlock, points - first));
}

inline std::span<double> head(Block& block, std::size_t size) { return {block.data(), size}; }

// ln L and its derivatives by ln A, ln B and ln E: the softmax weights of the terms, and what an
// outer exponent makes of them.
struct ThreeTerms {
  Block log_loss;
  Block share_params, share_tokens, share_floor;
  Block by_log_outer;  // d ln L / d ln k

  // L = E + A' + B' from three logarithms, of which the first two stand in share_params and
  // share_tokens. Those two may be at most 700, and the floor not below -700.
  void sum(std::size_t size, double log_floor) {
    sum_exp_all(head(share_params, size),
                head(share_tokens, size),
                std::exp(log_floor),
                head(log_loss, size),
                head(share_floor, size));
  }

  // L = E + (A' + B')^k, the same way; any finite logarithms.
  inline void sum_outer(std::size_t size, double log_floor, double outer);
};

// ln(e^x + e^y) and the share of each, for any finite x and y.
struct TwoTerms {
  Block log_sum;
  Block share_first, share_second;

  // From logarithms in share_first and share_second.
  void sum(std::size_t size) {
    Block ratio;  // of the smaller term to the larger
    for (std::size_t i = 0; i < size; ++i) ratio[i] = -std::abs(share_first[i] - share_second[i]);
    exp_all(head(ratio, size), head(ratio, size));
    for (std::size_t i = 0; i < size; ++i) log_sum[i] = 1 + ratio[i];
    Block log_one_plus;
    log_all(head(log_sum, size), head(log_one_plus, size));
    for (std::size_t i = 0; i < size; ++i) {
      const bool first_is_larger = share_first[i] >= share_second[i];
      const double larger = first_is_larger ? share_first[i] : share_second[i];
      const double share_larger = 1 / log_sum[i];
      const double share_smaller = ratio[i] * share_larger;
      share_first[i] = first_is_larger ? share_larger : share_smaller;
      share_second[i] = first_is_larger ? share_smaller : share_larger;
      log_sum[i] = larger + log_one_plus[i];
    }
  }
};

void ThreeTerms::sum_outer(std::size_t size, double log_floor, double outer) {
  TwoTerms inner;
  std::copy_n(share_params.begin(), size, inner.share_first.begin());
  std::copy_n(share_tokens.begin(), size, inner.share_second.begin());
  inner.sum(size);
  TwoTerms whole;
  for (std::size_t i = 0; i < size; ++i) {
    whole.share_first[i] = outer * inner.log_sum[i];
    whole.share_second[i] = log_floor;
  }
  whole.sum(size);
  for (std::size_t i = 0; i < size; ++i) {
    const double share = outer * whole.share_first[i];
    log_loss[i] = whole.log_sum[i];
    share_params[i] = share * inner.share_first[i];
    share_tokens[i] = share * inner.share_second[i];
    share_floor[i] = whole.share_second[i];
    by_log_outer[i] = share * inner.log_sum[i];
  }
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
