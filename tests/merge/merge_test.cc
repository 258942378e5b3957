#include "merge/merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/hash.h"
#include "merge/models.h"
#include "support/failing_files.h"

namespace ration {
namespace {

using checkpoint::DType;
using merge::Options;
using merge::Recipe;
using test::GivenTensor;
using test::Models;
using test::recipe_of;
using test::vector_model;

using Vector = std::vector<double>;

Vector random_numbers(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Vector numbers(count);
  for (double& number : numbers) number = normal(random);
  return numbers;
}

std::vector<double> as_floats(Vector numbers) {
  for (double& number : numbers) number = static_cast<float>(number);
  return numbers;
}

TEST(Merge, AveragesByEachWeight) {
  Models models;
  models.add("a", vector_model({1, 2}));
  models.add("b", vector_model({3, -2}));
  models.add("base", vector_model({10, 20}));

  EXPECT_EQ(models.merged(recipe_of("average", {"a", "b"})).numbers("w"), (Vector{2, 0}));
  Recipe weighted = recipe_of("weighted", {"a", "b"});
  weighted.weights = {3, 1};
  EXPECT_EQ(models.merged(weighted).numbers("w"), (Vector{1.5, 1}));
  Recipe linear = recipe_of("linear", {"a", "b"});
  linear.weights = {0.5, -1};
  EXPECT_EQ(models.merged(linear).numbers("w"), (Vector{-2.5, 3}));
  linear.base = "base";  // 1.5 of it
  EXPECT_EQ(models.merged(linear).numbers("w"), (Vector{12.5, 33}));
}

TEST(Merge, WeighsLaterModelsMoreInAMovingAverage) {
  Models models;
  models.add("old", vector_model({0}));
  models.add("middle", vector_model({2}));
  models.add("new", vector_model({4}));
  Recipe recipe = recipe_of("ema", {"old", "middle", "new"});
  recipe.decay = 0.5;  // weights 1/4, 1/2, 1

  EXPECT_EQ(models.merged(recipe).numbers("w")[0],
            static_cast<double>(static_cast<float>((1.0 + 4.0) / 1.75)));
}

TEST(Merge, TaskArithmeticOfOneNthIsTheAverage) {
  Models models;
  models.add("base", vector_model(random_numbers(5000, 1)));
  models.add("a", vector_model(random_numbers(5000, 2)));
  models.add("b", vector_model(random_numbers(5000, 3)));
  Recipe recipe = recipe_of("task_arithmetic", {"a", "b"}, "base");
  recipe.lambda = 0.5;

  const Vector found = models.merged(recipe).numbers("w");
  const Vector average = models.merged(recipe_of("average", {"a", "b"})).numbers("w");

  for (std::size_t j = 0; j < found.size(); ++j)
    ASSERT_NEAR(found[j], average[j], 1e-6);  // tau is rounded to f32
}

TEST(Merge, AUnitWeightGivesThatModelBitForBit) {
  Models models;
  Vector numbers = random_numbers(3000, 4);
  numbers[7] = -0.0, numbers[8] = 1e-42;
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    models.add("a", vector_model(numbers, dtype));
    models.add("b", vector_model(random_numbers(3000, 5), dtype));
    models.add("base", vector_model(random_numbers(3000, 6), dtype));
    Recipe recipe = recipe_of("linear", {"b", "a"}, "base");
    recipe.weights = {0, 1};

    const test::MemorySink sink = models.merged(recipe);

    const merge::Named& a = models.inputs(recipe).models[1];
    const auto wanted = a.checkpoint->bytes(a.checkpoint->tensors()[0]);
    EXPECT_TRUE(std::ranges::equal(sink.bytes.at("w"), wanted)) << checkpoint::name(dtype);
  }
}

TEST(Merge, SlerpStaysOnTheCircleAndEndsAtItsInputs) {
  Models models;
  models.add("a", vector_model({1, 0, 0}));
  models.add("b", vector_model({0, 2, 0}));
  models.add("base", vector_model({1, 1, 1}));
  models.add("zero", vector_model({0, 0, 0}));
  Recipe recipe = recipe_of("slerp", {"a", "b"});
  recipe.t = 0;
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{1, 0, 0}));
  recipe.t = 1;
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{0, 2, 0}));
  recipe.t = 0.5;
  const double half = std::sin(std::acos(-1.0) / 4);
  EXPECT_EQ(models.merged(recipe).numbers("w"), as_floats({half, 2 * half, 0}));
  recipe.models = {"zero", "b"};
  EXPECT_EQ(models.merged(recipe).numbers("w"), (Vector{0, 1, 0})) << "a line, not a circle";
}

TEST(Merge, SlerpOfTauTurnsAboutTheBase) {
  Models models;
  models.add("base", vector_model({5, 5}));
  models.add("a", vector_model({6, 5}));
  models.add("b", vector_model({5, 6}));
  Recipe recipe = recipe_of("slerp", {"a", "b"}, "base");
  recipe.on = "tau";
  const double half = std::sin(std::acos(-1.0) / 4);
  EXPECT_EQ(models.merged(recipe).numbers("w"), as_floats({5 + half, 5 + half}));
}

// All methods, on tensors of several pieces and of every format.
class AnyThreads : public testing::TestWithParam<std::string> {};

TEST_P(AnyThreads, GiveTheSameBytes) {
  Models models;
  const auto tensors = [](unsigned seed) {
    Vector f16 = random_numbers(3000, seed + 2), big = random_numbers(600000, seed);
    return std::vector<GivenTensor>{{"big", {600, 1000}, big},
                                    {"d", {100}, random_numbers(100, seed + 1), DType::f64},
                                    {"h", {3000}, f16, DType::f16},
                                    {"i", {3}, {1, 0, 1}, DType::boolean},
                                    {"small", {7, 5}, random_numbers(35, seed + 3), DType::bf16}};
  };
  const auto positive = [&](unsigned seed) {
    std::vector<GivenTensor> all = tensors(seed);
    for (GivenTensor& tensor : all)
      for (double& number : tensor.numbers) number = std::fabs(number);
    return all;
  };
  models.add("base", tensors(10));
  models.add("a", tensors(20));
  models.add("b", tensors(30));
  if (GetParam() == "fisher") models.set_statistics("a", positive(40));
  if (GetParam() == "fisher") models.set_statistics("b", positive(50));
  if (GetParam() == "regmean") {
    Vector unit(25);
    for (std::size_t i = 0; i < 5; ++i) unit[6 * i] = 1 + static_cast<double>(i);
    models.set_statistics("a", {{"small.gram", {5, 5}, unit}});
    models.set_statistics("b", {{"small.gram", {5, 5}, unit}});
  }
  Recipe recipe = recipe_of(GetParam(), {"a", "b"}, "base");
  recipe.rescale = "l1";
  recipe.norm = true;
  Options options;
  options.threads = 1;
  const test::MemorySink one = models.merged(recipe, options);
  for (const int threads : {2, 3, 7}) {
    options.threads = threads;
    EXPECT_EQ(models.merged(recipe, options).bytes, one.bytes) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Methods,
                         AnyThreads,
                         testing::ValuesIn(merge::methods()),
                         [](const auto& given) { return given.param; });

TEST(Merge, GivesEveryTensorTheFormatThatWasAskedFor) {
  Models models;
  models.add("a", {{"f", {2}, {1, 2}}, {"n", {2}, {7, 8}, DType::u8}});
  models.add("b", {{"f", {2}, {2, 2}}, {"n", {2}, {7, 8}, DType::u8}});
  Options options;
  options.dtype = DType::bf16;

  const test::MemorySink sink = models.merged(recipe_of("average", {"a", "b"}), options);

  EXPECT_EQ(sink.infos[0].dtype, DType::bf16);
  EXPECT_EQ(sink.numbers("f"), (Vector{1.5, 2}));
  EXPECT_EQ(sink.infos[1].dtype, DType::u8) << "whole numbers stay";
  EXPECT_EQ(sink.bytes.at("n")[1], std::byte{8});
}

TEST(Merge, CopiesIgnoredTensorsFromTheBase) {
  Models models;
  models.add("base", {{"head.w", {2}, {9, 9}}, {"w", {1}, {0}}});
  models.add("a", {{"head.w", {3}, {1, 1, 1}}, {"w", {1}, {2}}});
  models.add("b", {{"head.extra", {1}, {1}}, {"w", {1}, {4}}});
  Options options;
  options.ignore = "head\\..*";

  const test::MemorySink sink =
      models.merged(recipe_of("task_arithmetic", {"a", "b"}, "base"), options);

  EXPECT_EQ(sink.numbers("head.w"), (Vector{9, 9}));
  EXPECT_EQ(sink.numbers("w"), (Vector{6}));
  EXPECT_EQ(sink.infos.size(), 2U);
}

TEST(Merge, CutsToTheCommonRowsWhenAskedTo) {
  Models models;
  models.add("base", {{"e", {3, 2}, {0, 0, 0, 0, 0, 0}}});
  models.add("a", {{"e", {2, 2}, {1, 2, 3, 4}}});
  models.add("b", {{"e", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}}});
  Options options;
  options.resize = true;

  const test::MemorySink sink =
      models.merged(recipe_of("task_arithmetic", {"a", "b"}, "base"), options);

  EXPECT_EQ(sink.infos[0].shape, (std::vector<std::uint64_t>{2, 2}));
  EXPECT_EQ(sink.numbers("e"), (Vector{2, 4, 6, 8}));
}

TEST(Merge, NamesMethodParametersAndInputsInTheMetadata) {
  Models models;
  models.add("base", vector_model({0}));
  models.add("a", vector_model({1}));
  Recipe recipe = recipe_of("ties", {"a"}, "base");
  recipe.k = 0.3;
  Options options;
  options.version = "9.9";

  const test::MemorySink sink = models.merged(recipe, options);

  const Json about = Json::parse(sink.metadata.at("ration.merge"));
  EXPECT_EQ(about["version"], "9.9");
  EXPECT_EQ(about["recipe"]["method"], "ties");
  EXPECT_EQ(about["recipe"]["k"], 0.3);
  const std::string file = *real_files().read(models.path("a"));
  EXPECT_EQ(about["recipe"]["models"][0], "sha256:" + sha256_hex(file));
  options.input_digests = false;
  EXPECT_EQ(Json::parse(
                models.merged(recipe, options).metadata.at("ration.merge"))["recipe"]["models"][0],
            "a");
}

TEST(Merge, TakesNamesThatAreNoUtf8) {
  Models models;
  models.add("\xff.safetensors", test::vector_model({1}));
  const Recipe recipe = recipe_of("average", {"\xff.safetensors"});
  merge::Options options;
  options.input_digests = false;
  const Path output = models.folder() / "out";

  const auto done =
      merge::merge_to_file(real_files(), recipe, models.inputs(recipe), output, options);

  ASSERT_TRUE(done) << done.error().describe();
  const auto written = checkpoint::Checkpoint::open(real_files(), output);
  ASSERT_TRUE(written) << written.error().describe();
  EXPECT_NE(written->metadata().at("ration.merge").find("\uFFFD.safetensors"), std::string::npos);
}

TEST(Merge, WritesTheSameFileEachTime) {
  Models models;
  models.add("a", vector_model(random_numbers(9000, 1)));
  models.add("b", vector_model(random_numbers(9000, 2)));
  const Recipe recipe = recipe_of("average", {"a", "b"});
  const Path out = models.path("out.safetensors"), again = models.path("again.safetensors");

  ASSERT_TRUE(merge::merge_to_file(real_files(), recipe, models.inputs(recipe), out, {}));
  ASSERT_TRUE(merge::merge_to_file(real_files(), recipe, models.inputs(recipe), again, {}));

  EXPECT_EQ(*real_files().read(out), *real_files().read(again));
  const Result<checkpoint::Checkpoint> opened = checkpoint::Checkpoint::open(real_files(), out);
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(opened->tensors()[0].shape, (std::vector<std::uint64_t>{9000}));
}

TEST(Merge, ReadsShardsAsTheWholeModel) {
  Models models;
  const std::vector<GivenTensor> tensors = {{"a", {700}, random_numbers(700, 1)},
                                            {"b", {300}, random_numbers(300, 2)}};
  models.add("whole", tensors);
  models.add("one.safetensors", {tensors[0]});
  models.add("two.safetensors", {tensors[1]});
  models.add("other", {{"a", {700}, random_numbers(700, 3)}, {"b", {300}, random_numbers(300, 4)}});
  ASSERT_TRUE(
      real_files().write_whole(models.path("x.safetensors.index.json"),
                               R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})"));
  const Result<checkpoint::Checkpoint> sharded =
      checkpoint::Checkpoint::open(real_files(), models.path("x.safetensors.index.json"));
  ASSERT_TRUE(sharded) << sharded.error().describe();
  const Recipe recipe = recipe_of("average", {"whole", "other"});
  merge::Inputs inputs = models.inputs(recipe);
  inputs.models[0].checkpoint = &*sharded;
  test::MemorySink sink;

  ASSERT_TRUE(merge::merge(recipe, inputs, sink, {}));

  EXPECT_EQ(sink.bytes, models.merged(recipe).bytes);
}

TEST(Merge, LeavesNoFileBehindWhenTheDiskIsFull) {
  Models models;
  models.add("a", vector_model(random_numbers(100, 1)));
  const Recipe recipe = recipe_of("average", {"a"});
  const Path out = models.path("out.safetensors");
  bool whole = false;
  for (int fail_at = 0; !whole; ++fail_at) {
    ASSERT_LT(fail_at, 20);
    test::FailingFiles files(real_files(), test::FailingFiles::Mode::disk_full, fail_at);

    const Result<merge::Summary> done =
        merge::merge_to_file(files, recipe, models.inputs(recipe), out, {});

    whole = !files.failed();
    EXPECT_EQ(done.has_value(), whole);
    EXPECT_EQ(real_files().list(models.folder().path())->size(), whole ? 2U : 1U);
  }
}

}  // namespace
}  // namespace ration
