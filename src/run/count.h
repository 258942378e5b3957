#pragma once

// How large a model is and what its training costs, under every convention in use. A fit names the
// one that it used.

#include <array>
#include <string_view>

#include "base/units.h"
#include "run/spec.h"

namespace ration::run {

struct ParamCounts {
  double block = 0;  // layers and final norm; of routed experts one, as a token sees one
  double embed = 0;  // token embedding and learned positions
  double head = 0;   // V d, also when tied: it is multiplied
  double total = 0;  // each stored number once
};

// Counts of a resolved spec.
ParamCounts count_params(const RunSpec& spec);

enum class FlopConvention {
  kaplan,       // 6 n_block
  six_nd,       // 6 n_total
  six_nd_head,  // 6 (n_block + n_head): the default of fits
  exact,  // 6 (n_block + n_head) + 6 L d T: matrix products and causal attention; budgets and MFU
  palm,   // 6 (n_block + n_head) + 12 L d T
  chinchilla,  // the itemised count of the Chinchilla paper's appendix
};

struct FlopConventionName {
  FlopConvention convention;
  std::string_view name;  // as in event logs and on the command line
};
inline constexpr std::array<FlopConventionName, 6> kFlopConventions = {
    {{FlopConvention::kaplan, "kaplan"},
     {FlopConvention::six_nd, "6nd"},
     {FlopConvention::six_nd_head, "6nd_head"},
     {FlopConvention::exact, "exact"},
     {FlopConvention::palm, "palm"},
     {FlopConvention::chinchilla, "chinchilla"}}};

// FLOPs for training on one token (three times the forward pass).
Flops flops_per_token(const RunSpec& spec, FlopConvention convention);

}  // namespace ration::run
