#pragma once

// Numbers that screening needs, out of the files of contributions. Internal to the room.

#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace ration::fuse {

// |theta - base|, once names, shapes, dtypes and every number of the model were found sound;
// ErrorKind::input with the tensor and index where they are not. `name` is the model's in messages.
Result<double> sound_norm(
    Files& files, const Path& base, const Path& model, const std::string& name, int threads);

// |theta| of a model.
Result<double> norm_of(Files& files, const Path& model, int threads);

// The mean cosine of each task vector to the others; NaN where there is no other.
Result<std::vector<double>> mean_cosines(Files& files,
                                         const Path& base,
                                         const std::vector<Path>& models,
                                         int threads);

// Writes what an experiment makes of a contribution, theta + (factor - 1) tau; factor = -1 flips.
Result<void> scale_tau(
    Files& files, const Path& base, const Path& model, double factor, const Path& to, int threads);
// base + tau of independent normal entries, whose norm is about `norm`.
Result<void> random_tau(
    Files& files, const Path& base, double norm, std::uint64_t seed, const Path& to);

}  // namespace ration::fuse
