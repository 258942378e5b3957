#include "region/gram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "region/sums.h"
#include "region/tied.h"

namespace ration::region {
namespace {

using merge::Layout;
using merge::Scratch;
using merge::Tensor;

constexpr double kCancelled = 1e-10;  // of |tau_i|^2 + |tau_j|^2: a difference below is recomputed

struct Groups {
  std::vector<std::string> names;  // "all" first
  std::vector<std::uint64_t> elements;
  Sets of;  // each tensor's
};

// "all" first, then words by bytes, then layers by number.
std::pair<std::size_t, std::string> order_of(const std::string& group) {
  constexpr std::string_view kLayer = "layer ";
  if (group.starts_with(kLayer)) return {1 + std::stoul(group.substr(kLayer.size())), {}};
  return {0, group == "all" ? std::string() : group};
}

Groups groups_in(const Layout& layout) {
  const std::vector<std::size_t> places = counted_as(layout);
  std::map<std::pair<std::size_t, std::string>, std::string> found = {{order_of("all"), "all"}};
  std::vector<std::vector<std::string>> names(layout.tensors.size());
  for (std::size_t t = 0; t < names.size(); ++t) {
    if (!layout.tensors[t].merged || places[t] != t) continue;
    names[t] = groups_of(layout.tensors[t].out.name);
    names[t].emplace_back("all");
    for (const std::string& name : names[t]) found.try_emplace(order_of(name), name);
  }
  Groups groups;
  std::map<std::string, std::size_t> place;
  for (const auto& [order, name] : found) {
    place[name] = groups.names.size();
    groups.names.push_back(name);
  }
  groups.elements.resize(groups.names.size());
  for (std::size_t t = 0; t < names.size(); ++t) {
    groups.of.emplace_back();
    for (const std::string& name : names[t]) {
      groups.of[t].push_back(place[name]);
      groups.elements[place[name]] += layout.tensors[t].count;
    }
  }
  return groups;
}

using Sums = std::vector<std::vector<double>>;

// [group, pair]: the products of pairs i >= j, at i (i + 1)/2 + j.
Result<Sums> products_of(const Layout& layout, const Groups& groups, std::size_t n, int threads) {
  const auto work = [n](const Tensor& tensor,
                        std::uint64_t first,
                        std::size_t count,
                        Scratch& scratch,
                        std::span<double> sums) {
    const std::span<double> base = scratch.array(n, count);
    merge::load(tensor.base, first, scratch, base);
    for (std::size_t i = 0, pair = 0; i < n; ++i) {
      const std::span<double> tau = scratch.array(i, count);
      load_change(tensor, i, first, base, scratch, tau);
      for (std::size_t j = 0; j <= i; ++j) sums[pair++] += dot(tau, scratch.array(j, count));
    }
  };
  return sum_by_set(layout, groups.of, groups.names.size(), n * (n + 1) / 2, threads, work);
}

using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

// [group, pair]: |theta_i - theta_j|^2 without a detour over theta_0.
Result<Sums> squares_of(const Layout& layout,
                        const Groups& groups,
                        const Pairs& pairs,
                        int threads) {
  const auto work = [&pairs](const Tensor& tensor,
                             std::uint64_t first,
                             std::size_t count,
                             Scratch& scratch,
                             std::span<double> sums) {
    const std::span<double> a = scratch.array(0, count), b = scratch.array(1, count);
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      merge::load(tensor.models[pairs[p].first], first, scratch, a);
      load_change(tensor, pairs[p].second, first, a, scratch, b);
      sums[p] += dot(b, b);
    }
  };
  return sum_by_set(layout, groups.of, groups.names.size(), pairs.size(), threads, work);
}

bool cancels(const Gram& gram, std::size_t i, std::size_t j) {
  const std::size_t n = gram.models();
  const double both = gram.products[i * n + i] + gram.products[j * n + j];
  return both > 0 && !(gram.squares[i * n + j] > kCancelled * both);
}

// The matrices out of the products; squares by the law of cosines.
std::vector<Gram> matrices(const Groups& groups, const merge::Inputs& inputs, const Sums& sums) {
  const std::size_t n = inputs.models.size();
  std::vector<Gram> grams(groups.names.size());
  for (std::size_t g = 0; g < grams.size(); ++g) {
    Gram& gram = grams[g];
    gram.group = groups.names[g];
    gram.elements = groups.elements[g];
    for (const merge::Named& model : inputs.models) gram.names.push_back(model.name);
    gram.products.resize(n * n);
    gram.squares.resize(n * n);
    for (std::size_t i = 0, pair = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j, ++pair)
        gram.products[i * n + j] = gram.products[j * n + i] = sums[g][pair];
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        gram.squares[i * n + j] = std::max(
            0.0,
            gram.products[i * n + i] + gram.products[j * n + j] - 2 * gram.products[i * n + j]);
  }
  return grams;
}

}  // namespace

double Gram::norm(std::size_t i) const { return std::sqrt(products[i * models() + i]); }
double Gram::distance(std::size_t i, std::size_t j) const {
  return std::sqrt(squares[i * models() + j]);
}
double Gram::cosine(std::size_t i, std::size_t j) const {
  const double lengths = norm(i) * norm(j);
  if (!(lengths > 0)) return std::numeric_limits<double>::quiet_NaN();
  return i == j ? 1 : std::clamp(products[i * models() + j] / lengths, -1.0, 1.0);
}
std::vector<double> Gram::cosines() const {
  std::vector<double> all;
  for (std::size_t i = 0; i < models(); ++i)
    for (std::size_t j = 0; j < models(); ++j) all.push_back(cosine(i, j));
  return all;
}

Gram some_of(const Gram& gram, std::span<const std::size_t> models) {
  Gram some{
      .group = gram.group, .elements = gram.elements, .names = {}, .products = {}, .squares = {}};
  for (const std::size_t i : models) {
    some.names.push_back(gram.names[i]);
    for (const std::size_t j : models) {
      some.products.push_back(gram.products[i * gram.models() + j]);
      some.squares.push_back(gram.squares[i * gram.models() + j]);
    }
  }
  return some;
}

Result<std::vector<Gram>> gram(const merge::Inputs& inputs, const merge::Options& options) {
  if (inputs.base == nullptr || inputs.models.empty())
    return Error{.kind = ErrorKind::internal, .what = "a Gram matrix needs a base and models"};
  merge::Recipe recipe;  // says no more than which models
  for (const merge::Named& model : inputs.models) recipe.models.push_back(model.name);
  Result<Layout> layout = merge::match(recipe, inputs, options);
  if (!layout) return std::move(layout).error();
  const Groups groups = groups_in(*layout);
  const std::size_t n = inputs.models.size();
  Result<Sums> products = products_of(*layout, groups, n, options.threads);
  if (!products) return std::move(products).error();
  std::vector<Gram> grams = matrices(groups, inputs, *products);

  Pairs pairs;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (std::any_of(grams.begin(), grams.end(), [&](const Gram& g) { return cancels(g, i, j); }))
        pairs.emplace_back(i, j);
  if (pairs.empty()) return grams;
  Result<Sums> squares = squares_of(*layout, groups, pairs, options.threads);
  if (!squares) return std::move(squares).error();
  for (std::size_t g = 0; g < grams.size(); ++g)
    for (std::size_t p = 0; p < pairs.size(); ++p)
      if (const auto [i, j] = pairs[p]; cancels(grams[g], i, j))
        grams[g].squares[i * n + j] = grams[g].squares[j * n + i] = (*squares)[g][p];
  return grams;
}

}  // namespace ration::region
