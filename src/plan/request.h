#pragma once

// What is to be planned: what may be spent, on which unique tokens, and what is decided already.

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace ration::plan {

// A part of the unique tokens, drawn at its own rate.
struct Pool {
  std::string name;
  Tokens unique;  // above 0
  // Its part of the training tokens, above 0 and at most 1. Pools without one share what is left in
  // proportion to their sizes, so that they repeat equally often: as long as a token is worth less
  // with each repeat, no other division of what is left is better.
  std::optional<double> share = {};
};

// A training speed that was measured, on all machines that one run uses.
struct Speed {
  Params params;
  double tokens_per_second = 0;  // above 0
};

struct Request {
  // Compute to spend on training, above 0, with C = 6 N D in the fit's convention of counting N.
  // Infinite where only `time` limits.
  Flops budget{HUGE_VAL};

  // Distinct tokens at hand, above 0: with pools, their sum.
  Tokens unique;

  // Upper limit of epochs, above 0; nothing = none. With pools, of each.
  std::optional<Epochs> max_epochs = {};

  // The valley is where the loss stays within this share of the least one, above 0 and below 1. 0.1
  // % is about the noise between two seeds of a large run.
  double tolerance = 1e-3;

  // The parts of `unique`; empty = one.
  std::vector<Pool> pools = {};

  // Already decided: the model size, or the tokens to train on (the model is then as large as
  // pays). At most one.
  std::optional<Params> params = {};
  std::optional<Tokens> tokens = {};

  // Upper limit of the model size, such as what memory holds; above 0.
  std::optional<Params> max_params = {};

  // Tokens that the model will read and write in use, at 2 N FLOPs each: the budget then covers
  // 6 N D + 2 N served ("Beyond Chinchilla-Optimal", 2023). 0 = training alone.
  Tokens served{0};

  // Upper limit of the training time in seconds, above 0, at the measured speeds: between them
  // ln tokens/s runs straight over ln N; beyond the largest it falls as 1/N (equal FLOP/s), below
  // the smallest it stays. Larger models may not be faster.
  std::optional<double> time = {};
  std::vector<Speed> speeds = {};
};

// Everything that is wrong with a request (ErrorKind::usage).
std::vector<Error> check(const Request& request);

// The same with `compute` times the FLOPs and the time, and `data` times the unique tokens.
Request scaled(Request request, double compute, double data);

// Training tokens a second at a model size, from request.speeds, of which there is at least one.
double tokens_per_second(const Request& request, Params params);

}  // namespace ration::plan
