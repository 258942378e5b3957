#include "region/gram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "base/random.h"
#include "merge/models.h"
#include "merge/numbers.h"

namespace ration {
namespace {

using checkpoint::DType;
using region::Gram;
using test::GivenTensor;
using test::Models;
using test::recipe_of;
using testing::HasSubstr;

// A small model with tensors of several groups and formats; rounded as it is stored.
std::vector<GivenTensor> model_of(std::uint64_t seed, double scale) {
  Stream stream(seed, StreamId::init);
  std::vector<GivenTensor> tensors = {{"h0.attn.qkv.w", {6, 5}, {}, DType::f32},
                                      {"h0.ln1.g", {7}, {}, DType::f64},
                                      {"h10.mlp.up.w", {3, 9}, {}, DType::bf16},
                                      {"h2.mlp.up.w", {3, 9}, {}, DType::f16},
                                      {"other", {4}, {}, DType::f32},
                                      {"wte", {5000, 2}, {}, DType::f32}};
  for (GivenTensor& tensor : tensors) {
    std::uint64_t count = 1;
    for (const std::uint64_t extent : tensor.shape) count *= extent;
    for (std::uint64_t i = 0; i < count; ++i) tensor.numbers.push_back(scale * stream.normal());
    std::vector<std::byte> stored(count * item_bytes(tensor.dtype));
    merge::narrow(tensor.dtype, tensor.numbers, 0, stored.data());
    merge::widen(tensor.dtype, stored.data(), 0, tensor.numbers);
  }
  return tensors;
}

struct Sum {
  long double product = 0, square = 0;
};

// What a group's entry must be, by a plain loop.
Sum naive(const std::string& group,
          const std::vector<GivenTensor>& base,
          const std::vector<GivenTensor>& a,
          const std::vector<GivenTensor>& b) {
  Sum sum;
  for (std::size_t t = 0; t < base.size(); ++t) {
    const std::vector<std::string> groups = region::groups_of(base[t].name);
    if (group != "all" && std::find(groups.begin(), groups.end(), group) == groups.end()) continue;
    for (std::size_t j = 0; j < base[t].numbers.size(); ++j) {
      const long double origin = base[t].numbers[j];
      const long double x = a[t].numbers[j] - origin, y = b[t].numbers[j] - origin;
      sum.product += x * y;
      sum.square += (x - y) * (x - y);
    }
  }
  return sum;
}

class GramOfModels : public testing::Test {
 protected:
  GramOfModels() {
    tensors_ = {model_of(1, 1), model_of(2, 1), model_of(3, 0.25), model_of(4, 2)};
    const std::vector<std::string> names = {"base", "x", "y", "z"};
    for (std::size_t i = 0; i < names.size(); ++i) models_.add(names[i], tensors_[i]);
  }
  std::vector<Gram> grams(const merge::Options& options = {}) {
    return region::gram(models_.inputs(recipe_of("average", {"x", "y", "z"}, "base")), options)
        .value();
  }

  Models models_;
  std::vector<std::vector<GivenTensor>> tensors_;
};

TEST_F(GramOfModels, EqualsAPlainLoopInEveryGroup) {
  const std::vector<Gram> grams = this->grams();

  ASSERT_EQ(grams.size(), 8U);
  for (const Gram& gram : grams)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) {
        const Sum sum = naive(gram.group, tensors_[0], tensors_[i + 1], tensors_[j + 1]);
        // 10,000 terms of f64 round by far less.
        const double tolerance = 1e-12 * gram.norm(i) * gram.norm(j);
        EXPECT_NEAR(gram.products[i * 3 + j], static_cast<double>(sum.product), tolerance);
        EXPECT_NEAR(gram.squares[i * 3 + j],
                    static_cast<double>(sum.square),
                    1e-12 * (gram.norm(i) * gram.norm(i) + gram.norm(j) * gram.norm(j)));
      }
}

TEST_F(GramOfModels, NamesGroupsWithAllFirstAndLayersByNumber) {
  std::vector<std::string> names;
  std::vector<std::uint64_t> elements;
  for (const Gram& gram : grams()) {
    names.push_back(gram.group);
    elements.push_back(gram.elements);
  }

  EXPECT_THAT(
      names,
      testing::ElementsAre(
          "all", "attention", "embedding", "mlp", "norm", "layer 0", "layer 2", "layer 10"));
  EXPECT_THAT(elements, testing::ElementsAre(10095, 30, 10000, 54, 7, 37, 27, 27));
}

TEST_F(GramOfModels, IsSymmetricAndHasNoNegativeEigenvalue) {
  for (const Gram& gram : grams()) {
    const Eigen::Map<const Eigen::Matrix3d> products(gram.products.data());
    EXPECT_EQ(products, products.transpose());
    const Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d> solver(products);
    EXPECT_GE(solver.eigenvalues().minCoeff(), -1e-12 * products.trace());
  }
}

TEST(Gram, GivesNormsDistancesAndCosines) {
  Models models;
  models.add("base", {{"a", {2}, {1, 1}}, {"b", {2}, {0, 0}}});
  models.add("x", {{"a", {2}, {4, 5}}, {"b", {2}, {0, 1}}});   // tau (3, 4), (0, 1)
  models.add("y", {{"a", {2}, {4, -3}}, {"b", {2}, {0, 1}}});  // tau (3, -4), (0, 1)

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x", "y"}, "base")), {});

  ASSERT_TRUE(grams) << grams.error().describe();
  const Gram& all = grams->front();
  EXPECT_DOUBLE_EQ(all.norm(0), std::sqrt(26.0));
  EXPECT_DOUBLE_EQ(all.cosine(0, 1), (9.0 - 16.0 + 1) / 26);
  EXPECT_EQ(all.cosine(1, 1), 1);
  EXPECT_DOUBLE_EQ(all.distance(0, 1), 8);
  EXPECT_EQ(all.cosines().size(), 4U);
}

TEST(Gram, HasNoCosineWhereAModelIsItsBase) {
  Models models;
  models.add("base", test::vector_model({1, 2}));
  models.add("x", test::vector_model({1, 2}));
  models.add("y", test::vector_model({1, 3}));

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x", "y"}, "base")), {});

  ASSERT_TRUE(grams);
  EXPECT_TRUE(std::isnan(grams->front().cosine(0, 1)));
  EXPECT_TRUE(std::isnan(grams->front().cosine(0, 0)));
  EXPECT_EQ(grams->front().distance(0, 1), 1);
}

TEST(Gram, SumsDistancesDirectlyWhereProductsCancel) {
  Models models;
  const std::vector<double> far(1000, 3.1e5);
  std::vector<double> near = far;
  near[17] += 0.03125;
  near[503] -= 0.0625;
  models.add("base", test::vector_model(std::vector<double>(1000, 0.1)));
  models.add("x", test::vector_model(far));
  models.add("y", test::vector_model(near));

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x", "y"}, "base")), {});

  ASSERT_TRUE(grams);
  // 2e14 holds steps of 1/32: the law of cosines would give 0 or 1/32.
  EXPECT_DOUBLE_EQ(grams->front().squares[1], 0.03125 * 0.03125 + 0.0625 * 0.0625);
  EXPECT_EQ(grams->front().squares[1], grams->front().squares[2]);
}

TEST(Gram, CountsATensorOfTwoNamesOnce) {
  Models models;
  const std::vector<double> base = {0, 0, 0, 0}, x = {1, 2, 3, 4};
  models.add("base", {{"lm_head.weight", {2, 2}, base}, {"transformer.wte.weight", {2, 2}, base}});
  models.add("x", {{"lm_head.weight", {2, 2}, x}, {"transformer.wte.weight", {2, 2}, x}});

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x"}, "base")), {});

  ASSERT_TRUE(grams);
  ASSERT_EQ(grams->size(), 2U);
  EXPECT_EQ(grams->front().elements, 4U);
  EXPECT_DOUBLE_EQ(grams->front().products[0], 30);
  EXPECT_EQ(grams->back().group, "embedding");
}

TEST(Gram, CountsMatricesThatAreAlikeAndUnmovedEachByItself) {
  Models models;
  const std::vector<double> zeros = {0, 0, 0, 0}, x = {1, 2, 3, 4};
  for (const std::string name : {"base", "x"})
    models.add(name,
               {{"h0.mlp.down.w", {2, 2}, zeros},
                {"h1.mlp.down.w", {2, 2}, zeros},
                {"wte", {2, 2}, name == "x" ? x : zeros}});

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x"}, "base")), {});

  ASSERT_TRUE(grams);
  EXPECT_EQ(grams->front().elements, 12U);
}

TEST(Gram, CountsTensorsThatPartedTwice) {
  Models models;
  const std::vector<double> base = {0, 0, 0, 0}, x = {1, 2, 3, 4}, y = {1, 2, 3, 5};
  models.add("base", {{"lm_head.weight", {2, 2}, base}, {"transformer.wte.weight", {2, 2}, base}});
  models.add("x", {{"lm_head.weight", {2, 2}, x}, {"transformer.wte.weight", {2, 2}, y}});

  const auto grams = region::gram(models.inputs(recipe_of("average", {"x"}, "base")), {});

  ASSERT_TRUE(grams);
  EXPECT_EQ(grams->front().elements, 8U);
  EXPECT_DOUBLE_EQ(grams->front().products[0], 30 + 39);
}

TEST(Gram, HasTheSameBitsForAnyNumberOfThreads) {
  Models models;
  constexpr std::uint64_t kRows = 300'000;  // more than two pieces
  for (const std::string name : {"base", "x", "y", "z"}) {
    Stream stream(name.front(), StreamId::init);
    std::vector<double> numbers(kRows * 4);
    for (double& number : numbers) number = stream.uniform();
    models.add(name, {{"a", {3}, {1, stream.uniform(), 2}}, {"wte", {kRows, 4}, numbers}});
  }
  const auto products = [&](int threads) {
    const auto grams = region::gram(models.inputs(recipe_of("average", {"x", "y", "z"}, "base")),
                                    {.threads = threads});
    std::vector<double> all;
    for (const Gram& gram : *grams) {
      all.insert(all.end(), gram.products.begin(), gram.products.end());
      all.insert(all.end(), gram.squares.begin(), gram.squares.end());
    }
    return all;
  };

  const std::vector<double> one = products(1);

  EXPECT_EQ(products(2), one);
  EXPECT_EQ(products(7), one);
}

TEST(Gram, RefusesModelsThatDoNotFitAndNumbersThatAreNone) {
  Models models;
  models.add("base", {{"a", {2}, {1, 2}}, {"b", {2}, {1, 2}}});
  models.add("shape", {{"a", {2}, {1, 2}}, {"b", {3}, {1, 2, 3}}});
  models.add("nan", {{"a", {2}, {1, 2}}, {"b", {2}, {1, std::nan("")}}});
  const auto error_of = [&](const std::string& model) {
    return region::gram(models.inputs(recipe_of("average", {model}, "base")), {}).error();
  };

  EXPECT_EQ(error_of("shape").kind, ErrorKind::input);
  EXPECT_THAT(error_of("shape").describe(), HasSubstr("tensor \"b\": shape [2] in base, [3]"));
  EXPECT_EQ(error_of("nan").kind, ErrorKind::input);
  EXPECT_THAT(error_of("nan").what,
              HasSubstr("tensor \"b\" of nan holds NaN or infinity at element 1"));
}

TEST(Gram, OfSomeModelsHasTheirEntriesInTheOrderGiven) {
  const Gram gram{.group = "all",
                  .elements = 9,
                  .names = {"a", "b", "c"},
                  .products = {1, 2, 3, 2, 4, 5, 3, 5, 6},
                  .squares = {0, 1, 2, 1, 0, 3, 2, 3, 0}};

  const Gram some = region::some_of(gram, std::vector<std::size_t>{2, 0});

  EXPECT_EQ(some.names, (std::vector<std::string>{"c", "a"}));
  EXPECT_EQ(some.products, (std::vector<double>{6, 3, 3, 1}));
  EXPECT_EQ(some.squares, (std::vector<double>{0, 2, 2, 0}));
}

}  // namespace
}  // namespace ration
