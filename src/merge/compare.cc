#include "merge/compare.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "merge/numbers.h"
#include "merge/operator.h"
#include "merge/trim.h"

namespace ration::merge {
namespace {

void add(Comparison& sum, const Comparison& part) {
  for (std::size_t i = 0; i < part.products.size(); ++i) sum.products[i] += part.products[i];
  sum.elements += part.elements;
  sum.changed += part.changed;
  sum.conflicts += part.conflicts;
  sum.trimmed_conflicts += part.trimmed_conflicts;
}

using Vectors = std::vector<std::span<double>>;

// Elements that are positive in one vector and negative in another.
std::uint64_t conflicts_in(const Vectors& vectors, std::span<double> seen) {
  std::fill(seen.begin(), seen.end(), 0.0);
  for (const std::span<double> vector : vectors)  // 1: a plus was seen, 2: a minus, 3: both
    for (std::size_t j = 0; j < seen.size(); ++j) {
      const auto bits = static_cast<unsigned>(seen[j]);
      seen[j] = bits | (vector[j] > 0 ? 1U : 0U) | (vector[j] < 0 ? 2U : 0U);
    }
  return static_cast<std::uint64_t>(std::count(seen.begin(), seen.end(), 3.0));
}

class Comparer {
 public:
  Comparer(std::size_t models, std::vector<Cut> cuts) : models_(models), cuts_(std::move(cuts)) {}

  Comparison of_piece(const Piece& piece, Scratch& scratch) const {
    Comparison result;
    result.products.resize(models_ * models_);
    result.elements = piece.end - piece.begin;
    for_chunks(piece, [&](std::uint64_t first, std::size_t count) {
      const Tensor& tensor = *piece.tensor;
      Vectors vectors;
      for (std::size_t i = 0; i < models_; ++i) {
        vectors.push_back(scratch.array(i, count));
        if (tensor.base.bytes != nullptr)
          load_tau(tensor, i, first, scratch, vectors.back());
        else
          load(tensor.models[i], first, scratch, vectors.back());
      }
      const std::span<double> seen = scratch.out(count);
      add_products(vectors, result.products);
      result.conflicts += conflicts_in(vectors, seen);
      result.changed += static_cast<std::uint64_t>(
          std::count_if(seen.begin(), seen.end(), [](double bits) { return bits != 0; }));
      if (cuts_.empty()) return;
      for (std::size_t i = 0; i < models_; ++i) apply(cuts_[i], tensor.flat + first, vectors[i]);
      result.trimmed_conflicts += conflicts_in(vectors, seen);
    });
    if (cuts_.empty()) result.trimmed_conflicts = result.conflicts;
    release(piece);
    return result;
  }

 private:
  void add_products(const Vectors& vectors, std::vector<double>& products) const {
    for (std::size_t a = 0; a < models_; ++a)
      for (std::size_t b = 0; b <= a; ++b) {
        const double product =
            std::inner_product(vectors[a].begin(), vectors[a].end(), vectors[b].begin(), 0.0);
        products[a * models_ + b] += product;
        if (a != b) products[b * models_ + a] += product;
      }
  }

  std::size_t models_;
  std::vector<Cut> cuts_;  // empty: nothing is cut
};

double share(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

std::size_t Comparison::models() const {
  return static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(products.size()))));
}
double Comparison::norm(std::size_t model) const {
  return std::sqrt(products[model * models() + model]);
}
double Comparison::cosine(std::size_t a, std::size_t b) const {
  const double lengths = norm(a) * norm(b);
  return lengths > 0 ? std::clamp(products[a * models() + b] / lengths, -1.0, 1.0) : 0;
}
double Comparison::conflict_share() const { return share(conflicts, elements); }
double Comparison::trimmed_conflict_share() const { return share(trimmed_conflicts, elements); }

Result<std::vector<Comparison>> compare(const Inputs& inputs, double k, const Options& options) {
  Recipe recipe;
  for (const Named& model : inputs.models) recipe.models.push_back(model.name);
  Result<Layout> layout = match(recipe, inputs, options);
  if (!layout) return std::move(layout).error();
  const std::vector<Piece> pieces = pieces_of(*layout);
  std::vector<Cut> cuts;
  if (k < 1 && inputs.base != nullptr) {
    Keep keep;
    keep.share = k;
    Result<std::vector<Cut>> found = find_cuts(pieces, inputs.models.size(), keep, options.threads);
    if (!found) return std::move(found).error();
    cuts = std::move(*found);
  }
  const Comparer comparer(inputs.models.size(), std::move(cuts));
  std::vector<Comparison> parts(pieces.size());
  std::vector<char> finite(pieces.size());
  std::vector<Scratch> states(static_cast<std::size_t>(thread_count(options.threads)));
  for_pieces(pieces.size(), std::span(states), [&](std::size_t p, Scratch& scratch) {
    scratch.finite = true;
    finite[p] = whole(*pieces[p].tensor);
    if (finite[p] == 0) return;
    parts[p] = comparer.of_piece(pieces[p], scratch);
    finite[p] = scratch.finite;
  });

  std::vector<Comparison> result;
  Comparison all;
  all.products.resize(inputs.models.size() * inputs.models.size());
  std::size_t p = 0;
  for (const Tensor& tensor : layout->tensors) {
    if (!tensor.merged) continue;
    result.push_back(
        {.tensor = tensor.out.name, .products = std::vector<double>(all.products.size())});
    for (; p < pieces.size() && pieces[p].tensor == &tensor; ++p) {  // an empty tensor has none
      if (finite[p] == 0) return refuse_number(tensor, pieces[p].begin, inputs.base != nullptr);
      add(result.back(), parts[p]);
      add(all, parts[p]);
    }
  }
  result.push_back(std::move(all));
  return result;
}

}  // namespace ration::merge
