#pragma once

// How contributions become the next base, on files: theta_{r+1} = theta_r + eta v, v = mu v_r +
// Fuse({tau_c}). Sums are in the order given. Internal to the room.

#include <string>
#include <vector>

#include "base/files.h"
#include "merge/recipe.h"

namespace ration::fuse {

// One contribution.
struct Part {
  std::string contributor;
  Path model;         // theta_u^c
  Path from;          // theta_u, the base that it was trained from
  double weight = 1;  // above 0
  double scale = 1;   // of tau
};

struct Step {
  Path base;                // theta_r
  std::vector<Part> parts;  // at least one
  merge::Recipe op;         // its models, weights and base are set here
  double eta = 1;
  double momentum = 0;
  Path velocity = {};  // v_r; empty = 0
};

struct Stepped {
  Path model;
  Path velocity;  // empty without momentum
  std::vector<std::string> warnings;
};

// Writes the next base, and v, into `work`. Errors are those of merge().
Result<Stepped> fuse_step(Files& files, const Step& step, const Path& work, int threads);

// theta_r + scale (theta_u^c - theta_u), rounded once, as a file of `work`; the model itself where
// that is what it is.
Result<Path> effective(
    Files& files, const Part& part, const Path& base, const Path& work, int threads);

// The recipe of `op` for these models; a recipe whose weights are all equal is that without them.
merge::Recipe recipe_for(const merge::Recipe& op,
                         std::vector<std::string> models,
                         std::vector<double> weights);

}  // namespace ration::fuse
