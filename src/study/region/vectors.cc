#include "study/region/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "checkpoint/checkpoint.h"

namespace ration::study {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

tables::Cell cell(double value) { return std::isnan(value) ? tables::Cell() : tables::Cell(value); }

// tau_i . tau_j of vectors measured from the starts `s` and `t`, places of a Gram matrix whose
// vectors are measured from theta_0; no place is theta_0 itself.
double product(const region::Gram& gram,
               std::size_t i,
               std::optional<std::size_t> s,
               std::size_t j,
               std::optional<std::size_t> t) {
  const auto of = [&](std::size_t a, std::size_t b) {
    return gram.products[a * gram.models() + b];
  };
  double value = of(i, j);
  if (t) value -= of(i, *t);
  if (s) value -= of(*s, j);
  if (s && t) value += of(*s, *t);
  return value;
}

}  // namespace

Result<RegionVectors> region_vectors(Files& files,
                                     const RegionModels& models,
                                     const WeightsOf& weights_of) {
  RegionVectors vectors;
  const auto add = [&](const std::vector<Model>& some) {
    vectors.models.insert(vectors.models.end(), some.begin(), some.end());
    return some.size();
  };
  vectors.first = add(models.models);
  vectors.second = add(models.second_models);
  vectors.amounts = add(models.amounts);
  if (models.second) add({*models.second});

  std::deque<checkpoint::Checkpoint> opened;  // whose addresses stay
  const auto open = [&](const Model& model) -> Result<merge::Named> {
    Result<Path> path = weights_of(model);
    if (!path) return std::move(path).error();
    Result<checkpoint::Checkpoint> found = checkpoint::Checkpoint::open(files, *path);
    if (!found) return std::move(found).error();
    opened.push_back(std::move(*found));
    return merge::Named{.name = model_label(model), .checkpoint = &opened.back()};
  };
  Result<merge::Named> base = open(models.base);
  if (!base) return std::move(base).error();
  merge::Inputs inputs{.base = &*base, .models = {}};
  for (const Model& model : vectors.models) {
    Result<merge::Named> named = open(model);
    if (!named) return std::move(named).error();
    inputs.models.push_back(std::move(*named));
  }
  Result<std::vector<region::Gram>> grams = region::gram(inputs, {.input_digests = false});
  if (!grams) return std::move(grams).error();
  vectors.grams = std::move(*grams);
  return vectors;
}

std::vector<double> cosines_from_own_start(const RegionVectors& vectors,
                                           std::span<const std::size_t> places) {
  const auto start_of = [&](std::size_t place) -> std::optional<std::size_t> {
    const bool second = place >= vectors.first && place < vectors.first + vectors.second;
    return second ? std::optional(vectors.models.size() - 1) : std::nullopt;
  };
  const region::Gram& gram = vectors.all();
  const std::size_t n = places.size();
  std::vector<double> products(n * n), cosines(n * n);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b)
      products[a * n + b] =
          product(gram, places[a], start_of(places[a]), places[b], start_of(places[b]));
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b) {
      const double squares = products[a * n + a] * products[b * n + b];
      cosines[a * n + b] = squares > 0 ? products[a * n + b] / std::sqrt(squares) : kNone;
    }
  return cosines;
}

DataTable pairs_table(const RegionVectors& vectors) {
  using tables::Type;
  DataTable table{.name = "pairs",
                  .columns = {{"group", Type::text},
                              {"a", Type::text},
                              {"b", Type::text},
                              {"corpus_a", Type::text},
                              {"corpus_b", Type::text},
                              {"distance", Type::real},
                              {"cosine", Type::real}},
                  .rows = {}};
  for (const region::Gram& gram : vectors.grams)
    for (std::size_t j = 0; j < vectors.models.size(); ++j)
      for (std::size_t i = 0; i < j; ++i)
        table.rows.push_back({gram.group,
                              vectors.models[i].run,
                              vectors.models[j].run,
                              vectors.models[i].corpus,
                              vectors.models[j].corpus,
                              gram.distance(i, j),
                              cell(gram.cosine(i, j))});
  return table;
}

}  // namespace ration::study
