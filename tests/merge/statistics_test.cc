// Merges weighted by what models know of their data: Fisher information and Gram matrices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "merge/models.h"

namespace ration {
namespace {

using merge::Recipe;
using test::GivenTensor;
using test::Models;
using test::recipe_of;
using test::vector_model;

using Vector = std::vector<double>;

TEST(Fisher, TakesTheMeanWhereNoModelKnowsAnything) {
  Models models;
  models.add("a", vector_model({1, 1, 1}));
  models.add("b", vector_model({3, 3, 3}));
  models.set_statistics("a", vector_model({0, 3, 1}));
  models.set_statistics("b", vector_model({0, 1, 0}));
  Recipe recipe = recipe_of("fisher", {"a", "b"});
  recipe.floor = 0;

  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{2, 1.5, 1}));
}

TEST(Fisher, FloorPullsTowardsTheMean) {
  Models models;
  models.add("a", vector_model({1, 1}));
  models.add("b", vector_model({3, 3}));
  models.set_statistics("a", vector_model({1, 1}));
  models.set_statistics("b", vector_model({0, 0}));  // mean F over both models: 1/2
  Recipe recipe = recipe_of("fisher", {"a", "b"});
  recipe.floor = 2;  // adds 1 to each F

  EXPECT_EQ(models.merged(recipe).numbers("w")[0],
            static_cast<double>(static_cast<float>((2.0 * 1 + 1.0 * 3) / 3)));
}

TEST(Fisher, NormMakesModelsOfOtherScaleEqual) {
  Models models;
  models.add("a", {{"u", {1}, {0}}, {"w", {1}, {0}}});
  models.add("b", {{"u", {1}, {1}}, {"w", {1}, {1}}});
  models.set_statistics("a", {{"u", {1}, {300}}, {"w", {1}, {400}}});
  models.set_statistics("b", {{"u", {1}, {4}}, {"w", {1}, {3}}});
  Recipe recipe = recipe_of("fisher", {"a", "b"});
  recipe.floor = 0;
  recipe.norm = true;  // a: 0.6, 0.8; b: 0.8, 0.6

  const test::MemorySink sink = models.merged(recipe);

  EXPECT_FLOAT_EQ(static_cast<float>(sink.numbers("u")[0]), 0.8F / 1.4F);
  EXPECT_FLOAT_EQ(static_cast<float>(sink.numbers("w")[0]), 0.6F / 1.4F);
}

// Inputs [rows, in] and their Gram matrix.
struct Layer {
  Vector x, gram;
  std::size_t in;

  Layer(std::size_t rows, std::size_t inputs, unsigned seed) : gram(inputs * inputs), in(inputs) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    x.resize(rows * in);
    for (double& number : x) number = normal(random);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t a = 0; a < in; ++a)
        for (std::size_t b = 0; b < in; ++b) gram[a * in + b] += x[r * in + a] * x[r * in + b];
  }
};

std::vector<GivenTensor> gram_file(const Layer& layer) {
  return {{"w.gram", {layer.in, layer.in}, layer.gram, checkpoint::DType::f64}};
}

Vector random_numbers(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Vector numbers(count);
  for (double& number : numbers) number = normal(random);
  return numbers;
}

// sum_i |X_i (W - W_i)^T|^2, what RegMean with alpha = 1 makes as small as it can be.
double distance(const Vector& merged,
                const std::vector<Vector>& models,
                const std::vector<Layer>& layers) {
  double sum = 0;
  for (std::size_t i = 0; i < models.size(); ++i) {
    const std::size_t in = layers[i].in, out = merged.size() / in, rows = layers[i].x.size() / in;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t o = 0; o < out; ++o) {
        double y = 0;
        for (std::size_t c = 0; c < in; ++c)
          y += layers[i].x[r * in + c] * (merged[o * in + c] - models[i][o * in + c]);
        sum += y * y;
      }
  }
  return sum;
}

TEST(RegMean, IsNearerToTheModelsOnTheirInputsThanAnyNeighbour) {
  constexpr std::size_t kIn = 9, kOut = 4;
  Models models;
  std::vector<Layer> layers = {Layer(20, kIn, 1), Layer(30, kIn, 2)};
  std::vector<Vector> weights = {random_numbers(kIn * kOut, 3), random_numbers(kIn * kOut, 4)};
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const std::string name(1, static_cast<char>('a' + i));
    models.add(name, {{"w", {kOut, kIn}, weights[i], checkpoint::DType::f64}});
    models.set_statistics(name, gram_file(layers[i]));
  }
  Recipe recipe = recipe_of("regmean", {"a", "b"});
  recipe.alpha = 1;

  Vector merged = models.merged(recipe).numbers("w");

  const double best = distance(merged, weights, layers);
  for (double& number : merged)
    for (const double step : {1e-3, -1e-3}) {
      number += step;
      EXPECT_GT(distance(merged, weights, layers), best);
      number -= step;
    }
}

TEST(RegMean, GivesModelsThatAgreeBack) {
  Models models;
  const Vector weights = random_numbers(12, 5);
  for (const std::string name : {"a", "b"}) {
    models.add(name, {{"bias", {2}, {1, name == "a" ? 2.0 : 4.0}}, {"w", {3, 4}, weights}});
    models.set_statistics(name, gram_file(Layer(8, 4, name == "a" ? 6U : 7U)));
  }

  const test::MemorySink sink = models.merged(recipe_of("regmean", {"a", "b"}));

  for (std::size_t j = 0; j < weights.size(); ++j)
    EXPECT_NEAR(sink.numbers("w")[j], weights[j], 1e-6);
  EXPECT_EQ(sink.numbers("bias"), (Vector{1, 3})) << "what has no Gram matrix is averaged";
}

TEST(RegMean, AddsARidgeToSingularMatricesAndSaysSo) {
  Models models;
  for (const std::string name : {"a", "b"}) {  // one input, (1, 1): all that it tells is the sum
    models.add(name, {{"w", {1, 2}, {1, 2}}});
    models.set_statistics(name, {{"w.gram", {2, 2}, {1, 1, 1, 1}}});
  }
  Recipe recipe = recipe_of("regmean", {"a", "b"});
  recipe.alpha = 1;
  test::MemorySink sink;

  const Result<merge::Summary> done = merge::merge(recipe, models.inputs(recipe), sink, {});

  ASSERT_TRUE(done) << done.error().describe();
  ASSERT_EQ(done->warnings.size(), 1U);
  EXPECT_THAT(done->warnings[0], testing::HasSubstr("\"w\": the Gram matrices are singular"));
  for (const double number : sink.numbers("w")) EXPECT_NEAR(number, 1.5, 1e-5);  // ridge 1e-6
}

TEST(RegMean, RefusesMatricesThatCannotBeSolved) {
  Models models;
  for (const std::string name : {"a", "b"}) {
    models.add(name, {{"w", {1, 2}, {1, 2}}});
    models.set_statistics(name, {{"w.gram", {2, 2}, {0, 0, 0, 0}}});
  }
  const Result<test::MemorySink> sink = models.merge(recipe_of("regmean", {"a", "b"}));
  ASSERT_FALSE(sink);
  EXPECT_THAT(sink.error().what, testing::HasSubstr("\"w\" are not positive definite"));
}

}  // namespace
}  // namespace ration
