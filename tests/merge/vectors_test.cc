// Known answers of other programs and of closed forms: tests/vectors/merging.json.

#include "support/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "merge/models.h"
#include "merge/soup.h"

namespace ration {
namespace {

using merge::Recipe;
using test::GivenTensor;
using test::Models;

const Json& reference() {
  static const Json document = test::vectors("merging.json");
  return document;
}

double u(std::uint64_t seed, std::uint64_t i) {
  const std::uint64_t hash = i * 2654435761ULL + seed * 1013904223ULL + 12345;
  return static_cast<double>(hash % (1ULL << 32)) / 4294967296.0 - 0.5;
}

// The tensors of the reference with numbers by flat index.
std::vector<GivenTensor> tensors_with(const std::function<double(std::uint64_t)>& number) {
  std::vector<GivenTensor> tensors;
  for (const auto& [name, shape] : reference()["tensors"].items()) {
    GivenTensor tensor{name, shape.get<std::vector<std::uint64_t>>(), {}, checkpoint::DType::f32};
    std::uint64_t count = 1;
    for (const std::uint64_t extent : tensor.shape) count *= extent;
    const auto offset = reference()["flat_offset"][name].get<std::uint64_t>();
    for (std::uint64_t j = 0; j < count; ++j) tensor.numbers.push_back(number(offset + j));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

class Case {
 public:
  explicit Case(const Json& json)
      : json_(json),
        seed_(json["base_seed"].get<std::uint64_t>()),
        models_(json["n_models"].get<std::size_t>()) {
    files_.add("base", tensors_with([&](std::uint64_t i) { return base(i); }));
    for (std::uint64_t t = 1; t <= models_; ++t) {
      files_.add(name(t), tensors_with([&](std::uint64_t i) {
                   const auto step = static_cast<float>(0.2 * u(seed_ + 100 + t, i));
                   return static_cast<double>(static_cast<float>(base(i)) + step);
                 }));
      if (json["method"] == "fisher")
        files_.set_statistics(name(t), tensors_with([&](std::uint64_t i) {
                                return std::fabs(u(seed_ + 300 + t, i)) + 0.01;
                              }));
      if (json["method"] == "regmean") files_.set_statistics(name(t), {gram(t)});
    }
  }

  std::vector<double> merged() {
    Recipe recipe = this->recipe();
    merge::Options options;
    if (json_["method"] == "dare_linear")
      options.mask = [&](std::size_t model,
                         const checkpoint::TensorInfo& tensor,
                         std::uint64_t begin,
                         std::span<std::uint8_t> keep) {
        const auto offset = reference()["flat_offset"][tensor.name].get<std::uint64_t>() + begin;
        for (std::size_t j = 0; j < keep.size(); ++j)
          keep[j] = u(seed_ + 201 + model, offset + j) + 0.5 < recipe.density ? 1 : 0;
      };
    const test::MemorySink sink = files_.merged(recipe, options);
    return json_["method"] == "regmean" ? sink.numbers("c.weight") : sink.all_numbers();
  }

 private:
  static std::string name(std::uint64_t t) { return "m" + std::to_string(t); }
  double base(std::uint64_t i) const { return static_cast<float>(u(seed_, i)); }

  // X^T X of five rows.
  GivenTensor gram(std::uint64_t t) const {
    std::vector<double> products(9);
    for (std::uint64_t row = 0; row < 5; ++row)
      for (std::uint64_t a = 0; a < 3; ++a)
        for (std::uint64_t b = 0; b < 3; ++b)
          products[a * 3 + b] += u(seed_ + 400 + t, 3 * row + a) * u(seed_ + 400 + t, 3 * row + b);
    return {"c.weight.gram", {3, 3}, products, checkpoint::DType::f64};
  }

  Recipe recipe() const {
    const Json& params = json_["params"];
    Recipe recipe;
    recipe.method = json_["method"];
    if (recipe.method == "weighted_average") recipe.method = "weighted";
    recipe.base = "base";
    for (std::uint64_t t = 1; t <= models_; ++t) recipe.models.push_back(name(t));
    if (recipe.method == "ties") return ties(recipe.models);
    if (recipe.method == "slerp") recipe.models.resize(2);
    if (recipe.method == "fisher") recipe.floor = params["floor"];
    if (recipe.method == "regmean") recipe.alpha = params["offdiag_scale"];
    recipe.lambda = params.value("lambda", 1.0);
    recipe.t = params.value("t", 0.5);
    if (params.contains("weights")) recipe.weights = params["weights"].get<std::vector<double>>();
    if (recipe.method == "dare_linear") {
      recipe.density = params["density"];
      recipe.rescale = params["rescale"] == "l1_per_tensor" ? "l1" : "inverse";
    }
    return recipe;
  }

  // What the two programs do by themselves must follow from `compat` alone.
  Recipe ties(const std::vector<std::string>& models) const {
    const Json& params = json_["params"];
    const bool published = json_["source"].get<std::string>().starts_with("TIES");
    Json members = {{"method", "ties"}, {"base", "base"}, {"models", models}};
    members["compat"] = published ? "ties-ref" : "mergekit";
    members["k"] = params[params.contains("density") ? "density" : "keep_percent"];
    members["lambda"] = params.value("lambda", 1.0);
    if (params.contains("weights")) members["weights"] = params["weights"];
    if (params.contains("merge")) members["aggregate"] = params["merge"];
    if (params.value("consensus", "sum") == "count") members["consensus"] = "count";
    const Recipe recipe = *merge::parse_recipe(members, json_["id"]);
    EXPECT_EQ(recipe.scope, params["scope"]) << json_["id"];
    EXPECT_EQ(recipe.zero_sign, params["zero_sign"]) << json_["id"];
    return recipe;
  }

  const Json& json_;
  std::uint64_t seed_;
  std::size_t models_;
  Models files_;
};

void expect_near(const std::vector<double>& found,
                 const std::vector<double>& expected,
                 double tolerance,
                 const std::string& id) {
  ASSERT_EQ(found.size(), expected.size()) << id;
  for (std::size_t j = 0; j < found.size(); ++j)
    EXPECT_NEAR(found[j], expected[j], tolerance * std::max(1.0, std::fabs(expected[j])))
        << id << ", element " << j;
}

TEST(MergingVectors, HashGivesItsFirstNumber) { EXPECT_EQ(u(1, 0), -0.2639291528612375); }

TEST(MergingVectors, EveryCaseComesOutAsItsSourceSays) {
  int count = 0;
  for (const Json& one : reference()["cases"]) {
    const std::string method = one["method"];
    const bool loose = method == "fisher" || method == "regmean" || method == "slerp";

    const std::vector<double> merged = Case(one).merged();

    expect_near(merged, one["expected"].get<std::vector<double>>(), loose ? 1e-5 : 2e-6, one["id"]);
    ++count;
  }
  EXPECT_EQ(count, 42);
}

// An edge case: task vectors of base 0 under the TIES reference's choices.
Result<test::MemorySink> edge(const Json& one) {
  Models models;
  Recipe recipe = test::recipe_of("ties", {}, "base");
  const auto vectors = one["task_vectors"].get<std::vector<std::vector<double>>>();
  models.add("base", test::vector_model(std::vector<double>(vectors.front().size(), 0.0)));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    recipe.models.push_back("m" + std::to_string(i));
    models.add(recipe.models.back(), test::vector_model(vectors[i]));
  }
  recipe.compat = "ties-ref";
  recipe.k = one["keep_percent"];
  recipe.aggregate = one["merge"];
  return models.merge(recipe);
}

TEST(MergingVectors, EdgeCasesOfTheTiesReferenceAreReproduced) {
  int count = 0;
  for (const Json& one : reference()["edge_cases"]) {
    if (!one.contains("reference_expected")) continue;
    Result<test::MemorySink> sink = edge(one);
    ++count;
    if (one["reference_expected"].is_null()) {
      EXPECT_FALSE(sink) << one["id"] << ": the reference fails";
      continue;
    }
    ASSERT_TRUE(sink) << one["id"] << sink.error().describe();
    expect_near(
        sink->numbers("w"), one["reference_expected"].get<std::vector<double>>(), 2e-6, one["id"]);
  }
  EXPECT_EQ(count, 11);
}

const Json& edge_case(const std::string& id) {
  for (const Json& one : reference()["edge_cases"])
    if (one["id"] == id) return one;
  throw std::runtime_error("no edge case " + id);
}

TEST(MergingVectors, BrainFloatsAreRoundedOnce) {
  for (const std::string id : {"bf16-average", "bf16-task-arithmetic"}) {
    const Json& one = edge_case(id);
    Models models;
    const Json& given = one.contains("models") ? one["models"] : one["models_bf16_as_f32"];
    Recipe recipe = test::recipe_of(one["method"], {"a", "b"});
    models.add("a", test::vector_model(given[0], checkpoint::DType::bf16));
    models.add("b", test::vector_model(given[1], checkpoint::DType::bf16));
    if (one.contains("base")) {
      recipe.base = "base";
      recipe.lambda = one["lambda"];
      models.add("base", test::vector_model(one["base"], checkpoint::DType::bf16));
    }

    const std::vector<double> merged = models.merged(recipe).numbers("w");

    EXPECT_EQ(merged, one["expected_bf16_as_f32"].get<std::vector<double>>()) << id;
  }
}

TEST(MergingVectors, SlerpOfSpecialVectorsIsThatOfMergekit) {
  for (const std::string id :
       {"slerp-colinear", "slerp-antiparallel", "slerp-zero", "slerp-orthogonal"}) {
    const Json& one = edge_case(id);
    Models models;
    models.add("a", test::vector_model(one["v0"]));
    models.add("b", test::vector_model(one["v1"]));
    Recipe recipe = test::recipe_of("slerp", {"a", "b"});
    recipe.t = one["t"];
    recipe.compat = "mergekit";

    expect_near(
        models.merged(recipe).numbers("w"), one["expected"].get<std::vector<double>>(), 1e-5, id);
  }
}

TEST(MergingVectors, MergekitElectsPlusWhereEntriesCancel) {
  const Json& one = edge_case("mergekit-cancel");
  Models models;
  models.add("base", test::vector_model({0, 0, 0}));
  models.add("a", test::vector_model(one["task_vectors"][0]));
  models.add("b", test::vector_model(one["task_vectors"][1]));
  const Recipe recipe = *merge::parse_recipe({{"method", "ties"},
                                              {"base", "base"},
                                              {"models", {"a", "b"}},
                                              {"compat", "mergekit"},
                                              {"k", 1}},
                                             "here");

  EXPECT_EQ(models.merged(recipe).numbers("w"), (std::vector<double>{1, 0, 2}));
}

TEST(MergingVectors, GreedySoupFollowsItsScores) {
  const std::map<std::vector<std::size_t>, double> scores = {{{0}, .60},
                                                             {{1}, .62},
                                                             {{2}, .55},
                                                             {{3}, .58},
                                                             {{1, 0}, .64},
                                                             {{1, 0, 3}, .63},
                                                             {{1, 0, 2}, .64}};

  const Result<merge::Soup> soup =
      merge::greedy_soup(4, true, [&](std::span<const std::size_t> members) {
        return Result<double>(scores.at({members.begin(), members.end()}));
      });

  ASSERT_TRUE(soup);
  std::vector<std::string> members;
  for (const std::size_t member : soup->members)
    members.push_back("m" + std::to_string(member + 1));
  EXPECT_EQ(members, edge_case("greedy-soup")["expected"].get<std::vector<std::string>>());
}

}  // namespace
}  // namespace ration
