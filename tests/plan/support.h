#pragma once

// Fits to plan with.

#include <cmath>
#include <string>

#include "base/random.h"
#include "fit/fit.h"

namespace ration::plan {

// "Scaling Data-Constrained Language Models" (2023), C4.
inline const fit::Coordinates kPublished = {
    6.255414, 7.3049974, 0.6254804, 0.3526596, 0.3526596, std::log(15.387756), std::log(5.309743)};

inline fit::Fit published_fit() {
  fit::Fit fit{.law = fit::find_law("data-constrained"), .objective = 1, .interval = 0.9};
  for (std::size_t j = 0; j < kPublished.size(); ++j) {
    const fit::Parameter& parameter = fit.law->parameters()[j];
    const double value = parameter.value(kPublished[j]);
    fit.parameters.push_back({.name = std::string(parameter.name), .value = value});
  }
  return fit;
}

// The published constants jittered by a hundredth: stands for bootstrap draws.
inline fit::Fit fit_with_draws() {
  fit::Fit fit = published_fit();
  Stream stream(1, StreamId::bootstrap);
  for (int k = 0; k < 100; ++k) {
    fit.draws.push_back(kPublished);
    for (double& coordinate : fit.draws.back()) coordinate *= 1 + 0.01 * stream.normal();
  }
  return fit;
}

}  // namespace ration::plan
