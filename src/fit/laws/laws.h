#pragma once

// The laws, one object each for the whole program. docs/laws.md shows them.

#include "fit/law.h"

namespace ration::fit {

// A repeated token counts as a fresh one.
const Law& chinchilla();       // L = E + A N^-alpha + B D^-beta
const Law& chinchilla_tied();  // the same with alpha = beta
const Law& outer_exponent();   // L = E + (A N^-alpha + B D^-beta)^k
const Law& over_training();    // chinchilla-tied in tokens per parameter and compute
const Law& joint_decay();      // L = ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d

// Repeated tokens and surplus parameters decay.
const Law& data_constrained();
const Law& data_constrained_tied();       // alpha = beta
const Law& data_constrained_data();       // tokens decay, parameters do not
const Law& data_constrained_outer();      // with the outer exponent
const Law& data_constrained_geometric();  // geometric decay

// Repeats add a penalty to chinchilla.
const Law& overfit_penalty();         // P R_D^d (N/U)^k
const Law& overfit_penalty_linear();  // P R_D N/U
const Law& saturating_penalty();      // S (1 - exp(-P R_D N/U / S))

// L = E + A x^-alpha in one variable.
const Law& power_params();
const Law& power_tokens();
const Law& power_compute();

}  // namespace ration::fit
