#pragma once

// How fine-tuned models lie around the model that they began with: scalar products of tau_i =
// theta_i - theta_0, for all tensors together and for each group of them, in one streamed pass.
//
//   Result<std::vector<Gram>> grams = gram({.base = &base, .models = models}, {});
//   double c = grams->front().cosine(0, 1);
//
// Sums are in f64 and in one order, whatever the threads. Only tensors of floating-point numbers
// count, each once where names share one tensor. Errors are those of merge::compare: models of
// other names or shapes, NaN and infinity, with tensor and index.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "merge/merge.h"

namespace ration::region {

struct Gram {
  std::string group;  // "all", "embedding", "attention", "mlp", "norm", "head", "layer 0", …
  std::uint64_t elements = 0;
  std::vector<std::string> names;  // of the n models
  std::vector<double> products;    // [n, n]: tau_i . tau_j, symmetric
  // [n, n]: |tau_i - tau_j|^2, summed directly where the products would cancel (below 1e-10 of
  // |tau_i|^2 + |tau_j|^2).
  std::vector<double> squares;

  std::size_t models() const { return names.size(); }
  double norm(std::size_t i) const;
  double distance(std::size_t i, std::size_t j) const;
  double cosine(std::size_t i, std::size_t j) const;  // NaN where tau_i or tau_j is 0
  std::vector<double> cosines() const;                // [n, n]
};

// That of some of the models, by their places, in the order given.
Gram some_of(const Gram& gram, std::span<const std::size_t> models);

// The groups that a tensor's name belongs to, beside "all".
std::vector<std::string> groups_of(const std::string& tensor);

// "all" first, then the groups that have tensors, by name (layers by number). inputs.base is
// required; at least one model.
Result<std::vector<Gram>> gram(const merge::Inputs& inputs, const merge::Options& options);

}  // namespace ration::region
