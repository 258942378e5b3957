// TIES and DARE against a twin that sorts, in double precision, one coordinate after the other.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "merge/models.h"

namespace ration {
namespace {

using merge::Recipe;
using test::GivenTensor;
using test::Models;
using test::recipe_of;

using Vector = std::vector<double>;

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

// Keeps floor(k D) entries of largest magnitude, of equal ones those of lower index.
Vector trimmed(const Vector& tau, double k) {
  std::vector<std::size_t> order(tau.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::fabs(tau[a]) > std::fabs(tau[b]);
  });
  order.resize(static_cast<std::size_t>(std::floor(k * static_cast<double>(tau.size()))));
  Vector kept(tau.size());
  for (const std::size_t j : order) kept[j] = tau[j];
  return kept;
}

// The twin: task vectors over all tensors, trimmed, elected, averaged.
Vector ties_twin(std::vector<Vector> tau, const Recipe& recipe) {
  if (recipe.trim)
    for (Vector& one : tau) one = trimmed(one, recipe.k);
  const Vector weights = recipe.weights.empty() ? Vector(tau.size(), 1) : recipe.weights;
  Vector mass(tau.front().size()), merged(mass.size());
  double majority = 0;
  for (std::size_t j = 0; j < mass.size(); ++j) {
    for (std::size_t i = 0; i < tau.size(); ++i)
      mass[j] +=
          recipe.consensus == "count" ? sign(weights[i] * tau[i][j]) : weights[i] * tau[i][j];
    majority += sign(mass[j]);
  }
  for (std::size_t j = 0; j < mass.size(); ++j) {
    double gamma = sign(mass[j]);
    if (gamma == 0) gamma = recipe.zero_sign == "plus" ? 1 : sign(majority);
    double sum = 0, divisor = 0, largest = 0;
    for (std::size_t i = 0; i < tau.size(); ++i) {
      const double entry = weights[i] * tau[i][j];
      if (tau[i][j] == 0 || (recipe.elect && sign(entry) != gamma)) continue;
      sum += entry, divisor += weights[i];
      if (std::fabs(entry) > std::fabs(largest)) largest = entry;
    }
    if (!recipe.disjoint) divisor = std::accumulate(weights.begin(), weights.end(), 0.0);
    if (recipe.aggregate == "max")
      merged[j] = largest;
    else if (recipe.aggregate == "sum")
      merged[j] = sum;
    else
      merged[j] = divisor == 0 ? 0 : sum / divisor;
  }
  return merged;
}

// Models of two tensors that span several chunks, with many entries of equal size, zeros of both
// signs and numbers below the smallest normal one.
class TiesTwin : public testing::Test {
 protected:
  static constexpr std::size_t kFirst = 5000, kSecond = 1700;

  void make(std::size_t models, unsigned seed, bool coarse) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    const auto draw = [&]() -> double {
      const auto kind = random() % 10;
      if (kind == 0) return random() % 2 == 0 ? 0.0 : -0.0;
      if (kind == 1) return static_cast<double>(normal(random) * 1e-40F);
      const float number = normal(random);
      return coarse ? std::round(number * 4) / 4 : number;
    };
    const auto tensors = [&](const Vector& all) {
      const auto split = all.begin() + kFirst;
      return std::vector<GivenTensor>{{"a", {kFirst}, Vector(all.begin(), split)},
                                      {"b", {kSecond / 17, 17}, Vector(split, all.end())}};
    };
    // The base is 0 where the vectors must be exact to the last bit; its tensors come from "base".
    models_.add("base", tensors(Vector(kFirst + kSecond)));
    for (std::size_t i = 0; i < models; ++i) {
      Vector tau(kFirst + kSecond);
      for (double& number : tau) number = draw();
      names_.push_back("m" + std::to_string(i));
      models_.add(names_.back(), tensors(tau));
      tau_.push_back(std::move(tau));
    }
  }

  void expect_twin(const Recipe& recipe) {
    Recipe full = recipe;
    full.lambda = 1;
    const Vector expected = ties_twin(tau_, full);
    const Vector found = models_.merged(full).all_numbers();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t j = 0; j < found.size(); ++j)
      ASSERT_EQ(found[j], static_cast<double>(static_cast<float>(expected[j]))) << j;
  }

  Models models_;
  std::vector<std::string> names_;
  std::vector<Vector> tau_;
};

TEST_F(TiesTwin, AgreesAtAllSharesThatAreKept) {
  make(4, 1, false);
  for (const double k : {0.0, 0.0001, 0.05, 0.2, 0.5, 0.95, 1.0}) {
    Recipe recipe = recipe_of("ties", names_, "base");
    recipe.k = k;
    expect_twin(recipe);
  }
}

TEST_F(TiesTwin, TakesEqualMagnitudesByLowerIndex) {
  make(3, 2, true);
  for (const double k : {0.01, 0.1, 0.2, 0.3, 0.7}) {
    Recipe recipe = recipe_of("ties", names_, "base");
    recipe.k = k;
    expect_twin(recipe);
  }
}

TEST_F(TiesTwin, AgreesForEachChoice) {
  make(5, 3, true);
  for (const std::string consensus : {"mass", "count"})
    for (const std::string aggregate : {"mean", "sum", "max"})
      for (const std::string zero_sign : {"majority", "plus"}) {
        Recipe recipe = recipe_of("ties", names_, "base");
        recipe.consensus = consensus;
        recipe.aggregate = aggregate;
        recipe.zero_sign = zero_sign;
        expect_twin(recipe);
        recipe.weights = {1, 0.5, 2, 1.25, 0.25};
        expect_twin(recipe);
      }
}

TEST_F(TiesTwin, AgreesWithoutSingleSteps) {
  make(3, 4, true);
  for (int left_out = 0; left_out < 8; ++left_out) {
    Recipe recipe = recipe_of("ties", names_, "base");
    recipe.trim = (left_out & 1) == 0;
    recipe.elect = (left_out & 2) == 0;
    recipe.disjoint = (left_out & 4) == 0;
    expect_twin(recipe);
  }
}

TEST_F(TiesTwin, TrimsEachTensorByItselfWhenAskedTo) {
  make(3, 5, true);
  Recipe recipe = recipe_of("ties", names_, "base");
  recipe.scope = "tensor";
  recipe.k = 0.3;
  std::vector<Vector> tau;
  for (const Vector& all : tau_) {
    Vector both = trimmed(Vector(all.begin(), all.begin() + kFirst), recipe.k);
    const Vector second = trimmed(Vector(all.begin() + kFirst, all.end()), recipe.k);
    both.insert(both.end(), second.begin(), second.end());
    tau.push_back(std::move(both));
  }
  Recipe untrimmed = recipe;
  untrimmed.trim = false;

  const Vector expected = ties_twin(tau, untrimmed);
  const Vector found = models_.merged(recipe).all_numbers();

  for (std::size_t j = 0; j < found.size(); ++j)
    ASSERT_EQ(found[j], static_cast<double>(static_cast<float>(expected[j]))) << j;
}

TEST_F(TiesTwin, AgreesInDoublePrecision) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  std::vector<Vector> tau(3, Vector(3000));
  Recipe recipe = recipe_of("ties", {}, "base");
  models_.add("base", test::vector_model(Vector(3000), checkpoint::DType::f64));
  for (std::size_t i = 0; i < tau.size(); ++i) {
    for (double& number : tau[i]) number = normal(random) * (random() % 3 == 0 ? 1e-300 : 1);
    recipe.models.push_back("d" + std::to_string(i));
    models_.add(recipe.models.back(), test::vector_model(tau[i], checkpoint::DType::f64));
  }
  for (const double k : {0.1, 0.8}) {
    recipe.k = k;
    EXPECT_EQ(models_.merged(recipe).all_numbers(), ties_twin(tau, recipe));
  }
}

TEST(Ties, KeepsTheBaseWhereNothingIsKept) {
  Models models;
  models.add("base", test::vector_model({0.1, -0.0, 3}));
  models.add("a", test::vector_model({1, 2, 3}));
  Recipe recipe = recipe_of("ties", {"a"}, "base");
  recipe.k = 0;

  const test::MemorySink sink = models.merged(recipe);

  EXPECT_EQ(sink.numbers("w")[0], static_cast<double>(0.1F));
  EXPECT_TRUE(std::signbit(sink.numbers("w")[1])) << "-0 keeps its bits";
}

TEST(Ties, LeavesACancelledCoordinateAloneWithoutAMajority) {
  Models models;
  models.add("base", test::vector_model({0, 0, 0}));
  models.add("a", test::vector_model({1, -2, 3}));
  models.add("b", test::vector_model({-1, -2, 3}));
  Recipe recipe = recipe_of("ties", {"a", "b"}, "base");
  recipe.k = 1;

  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{0, -2, 3}));
}

TEST(Ties, WarnsOfTensorsThatKeepNothingAndOfModelsThatAreTheBase) {
  Models models;
  const std::vector<GivenTensor> base = {{"big", {10}, Vector(10, 1.0)}, {"small", {2}, {1, 1}}};
  models.add("base", base);
  models.add("same", base);
  models.add("other", {{"big", {10}, Vector(10, 2.0)}, {"small", {2}, {2, 2}}});
  Recipe recipe = recipe_of("ties", {"same", "other"}, "base");
  recipe.scope = "tensor";
  test::MemorySink sink;

  const Result<merge::Summary> summary = merge::merge(recipe, models.inputs(recipe), sink, {});

  ASSERT_TRUE(summary) << summary.error().describe();
  ASSERT_EQ(summary->warnings.size(), 2U);
  EXPECT_NE(summary->warnings[0].find("same equals the base"), std::string::npos);
  EXPECT_NE(summary->warnings[1].find("\"small\" keeps none of its 2 entries"), std::string::npos);
}

// Minus one times a task is that task taken away, not the task itself.
TEST(Ties, DividesByTheMagnitudeOfNegativeWeights) {
  Models models;
  models.add("base", test::vector_model({1, 1}));
  models.add("a", test::vector_model({3, 2}));
  models.add("b", test::vector_model({3, 5}));
  Recipe recipe = recipe_of("ties", {"a"}, "base");
  recipe.trim = false;
  recipe.weights = {-1};
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{-1, 0}));
  recipe.compat = "mergekit";  // divides by -1
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{3, 2}));

  recipe = recipe_of("ties", {"a", "b"}, "base");  // tau (2, 1), (2, 4)
  recipe.trim = false;
  recipe.weights = {-3, 1};  // entries (-6, -3), (2, 4)
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{1 - 6.0 / 3, 1 + 4.0 / 1}));
  recipe.disjoint = false;
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{1 - 6.0 / 4, 1 + 4.0 / 4}));
}

// More models than are searched together.
TEST(Ties, TrimsEachOfManyModelsAsIfItWereAlone) {
  constexpr std::size_t kModels = 70;
  Models models;
  models.add("base", test::vector_model(Vector(10, 0.0)));
  Recipe recipe = recipe_of("ties", {}, "base");
  recipe.elect = recipe.disjoint = false;
  recipe.aggregate = "sum";
  Vector expected(10, 0.0);
  for (std::size_t i = 0; i < kModels; ++i) {
    Vector numbers(10, 0.5);
    numbers[i % 10] = numbers[(i + 3) % 10] = static_cast<double>(i + 1);  // the largest two
    expected[i % 10] += static_cast<double>(i + 1);
    expected[(i + 3) % 10] += static_cast<double>(i + 1);
    recipe.models.push_back("m" + std::to_string(i));
    models.add(recipe.models.back(), test::vector_model(numbers));
  }
  EXPECT_EQ(models.merged(recipe).numbers("w"), expected);
}

TEST(Ties, WarnsWhereNothingIsLeftOfAnyTaskVector) {
  Models models;
  models.add("base", test::vector_model({1, 1}));
  models.add("a", test::vector_model({2, 3}));
  const auto warnings = [&](const Recipe& recipe) {
    test::MemorySink sink;
    return merge::merge(recipe, models.inputs(recipe), sink, {})->warnings;
  };
  Recipe recipe = recipe_of("ties", {"a"}, "base");  // keeps 20 % of two entries
  EXPECT_EQ(
      warnings(recipe),
      std::vector<std::string>{"the output equals the base: no entry of a task vector is left"});
  recipe = recipe_of("dare_linear", {"a"}, "base");
  recipe.density = 1e-12;
  EXPECT_EQ(warnings(recipe).size(), 1U);
  recipe.density = 1;
  EXPECT_TRUE(warnings(recipe).empty());
}

class Dare : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 40000;

  void SetUp() override {
    models_.add("base", test::vector_model(Vector(kCount)));
    models_.add("ones", test::vector_model(Vector(kCount, 1.0)));
    models_.add("twos", test::vector_model(Vector(kCount, 2.0)));
  }
  Vector merged(Recipe recipe, double density, std::uint64_t seed) {
    recipe.density = density;
    recipe.seed = seed;
    return models_.merged(recipe).numbers("w");
  }

  Models models_;
};

TEST_F(Dare, KeepsEntriesAtItsDensityAndScalesThem) {
  const Recipe recipe = recipe_of("dare_linear", {"ones"}, "base");
  for (const double density : {0.1, 0.5, 0.9}) {
    const Vector merged = this->merged(recipe, density, 0);
    const auto kept = static_cast<double>(kCount - std::count(merged.begin(), merged.end(), 0.0));
    const double deviation = std::sqrt(kCount * density * (1 - density));
    EXPECT_NEAR(kept, kCount * density, 5 * deviation);
    for (const double number : merged)
      if (number != 0) {
        ASSERT_EQ(number, static_cast<double>(static_cast<float>(1 / density)));
      }
  }
}

TEST_F(Dare, IsTheIdentityAtDensityOne) {
  EXPECT_EQ(merged(recipe_of("dare_linear", {"ones", "twos"}, "base"), 1, 3), Vector(kCount, 3.0));
}

TEST_F(Dare, DropsOtherEntriesForEachModelAndSeed) {
  const Recipe both = recipe_of("dare_linear", {"ones", "twos"}, "base");
  const Vector merged = this->merged(both, 0.5, 0);
  const auto share = [&](double number) {
    return static_cast<double>(std::count(merged.begin(), merged.end(), number)) / kCount;
  };
  for (const double number : {0.0, 2.0, 4.0, 6.0})  // none, the first, the second, both
    EXPECT_NEAR(share(number), 0.25, 0.02);
  EXPECT_NE(this->merged(both, 0.5, 1), merged);
}

TEST_F(Dare, KeepsTheSumOfMagnitudesWithRescaleL1) {
  Recipe recipe = recipe_of("dare_linear", {"ones"}, "base");
  recipe.rescale = "l1";
  const Vector merged = this->merged(recipe, 0.3, 5);
  EXPECT_NEAR(std::accumulate(merged.begin(), merged.end(), 0.0), kCount, 0.01);
}

TEST_F(Dare, ElectsSignsLikeTies) {
  const Vector merged = this->merged(recipe_of("dare_ties", {"ones", "twos"}, "base"), 0.5, 0);
  for (const double number : merged)  // none, one of 2, one of 4, the mean of both
    ASSERT_TRUE(number == 0 || number == 2 || number == 4 || number == 3) << number;
}

}  // namespace
}  // namespace ration
