#pragma once

// The laws, one object each for the whole program.

#include "fit/law.h"

namespace ration::fit {

const Law& chinchilla();             // L = E + A N^-alpha + B D^-beta
const Law& chinchilla_tied();        // the same with alpha = beta
const Law& data_constrained();       // repeated tokens and surplus parameters decay
const Law& data_constrained_data();  // repeated tokens decay

}  // namespace ration::fit
