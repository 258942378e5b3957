#include "train/products.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "train/cpu/product.h"

namespace ration::train {
namespace {

struct ProductsName {
  Products products;
  std::string_view name;
};
constexpr std::array<ProductsName, 3> kNames = {
    {{Products::own, "own"}, {Products::library, "library"}, {Products::mixed, "mixed"}}};

constexpr double kShare = 0.02;  // of the run's time that measuring may take
constexpr double kLongest = 10;  // s: more would tell nothing new
constexpr int kRounds = 5;       // of all ways in turn, so that noise meets each alike
constexpr int kFewestRounds = 2;
constexpr double kWorthIt = 0.95;  // another way must be that much faster than the usual one:
                                   // what is as good as equal should not depend on noise
constexpr std::int64_t kTooSmall = 1 << 13;  // elements: below, starting a library's product costs
                                             // more than the product

double seconds_of(Passes& passes, const TokenRows& rows) {
  const auto began = std::chrono::steady_clock::now();
  passes.add_gradients(rows, {}, 0);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

std::string_view name(Products products) {
  for (const ProductsName& each : kNames)
    if (each.products == products) return each.name;
  return "";
}

std::optional<Products> products_named(std::string_view word) {
  for (const ProductsName& each : kNames)
    if (each.name == word) return each.products;
  return std::nullopt;
}

Products usual_products() { return cpu::has_wide_vectors() ? Products::own : Products::mixed; }

Json ProductsChoice::to_json() const {
  Json json = {{"chosen", name(products)}, {"by", by}};
  for (const Timed& timed : measured)
    json["seconds"][std::string(name(timed.products))] = timed.seconds;
  return json;
}

ProductsChoice measure_products(const run::RunSpec& spec,
                                Passes& passes,
                                const Batch& batch,
                                std::int64_t sequences_at_once,
                                std::int64_t steps) {
  const Products usual = usual_products();
  ProductsChoice choice{.products = usual, .by = "rule"};
  if (spec.width * spec.mlp_width < kTooSmall) return choice;
  const std::int64_t count = std::min(sequences_at_once, batch.sequences());
  const TokenRows rows = batch.rows(0, count);
  passes.use(usual);
  const double first = seconds_of(passes, rows);  // touches all memory: slower than the rest
  const double pieces = static_cast<double>(spec.batch_sequences) / static_cast<double>(count);
  const double allowed = std::min(kLongest, kShare * first * pieces * static_cast<double>(steps));
  const auto ways = static_cast<double>(kNames.size());
  if ((ways * (kFewestRounds + 1)) * first > allowed) return choice;

  for (const ProductsName& each : kNames)
    choice.measured.push_back({each.products, std::numeric_limits<double>::infinity()});
  double spent = 0;
  for (int round = -1; round < kRounds; ++round) {  // the first of all touches memory
    for (ProductsChoice::Timed& way : choice.measured) {
      passes.use(way.products);
      if (round < 0) seconds_of(passes, rows);
      const double seconds = seconds_of(passes, rows);
      way.seconds = std::min(way.seconds, seconds);
      spent += seconds;
    }
    if (round + 1 >= kFewestRounds && spent * (1 + 1.0 / (round + 2)) > allowed) break;
  }
  const auto time_of = [&](Products products) {
    return std::find_if(choice.measured.begin(),
                        choice.measured.end(),
                        [&](const auto& way) { return way.products == products; })
        ->seconds;
  };
  double best = time_of(usual) * kWorthIt;
  for (const ProductsChoice::Timed& way : choice.measured)
    if (way.products != usual && way.seconds < best) {
      best = way.seconds;
      choice.products = way.products;
    }
  choice.by = "measured";
  passes.use(choice.products);
  return choice;
}

}  // namespace ration::train
