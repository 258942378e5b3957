// What a merge refuses, and how it says so.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "merge/compare.h"
#include "merge/models.h"

namespace ration {
namespace {

using checkpoint::DType;
using merge::Options;
using merge::Recipe;
using test::GivenTensor;
using test::Models;
using test::recipe_of;
using test::vector_model;
using testing::AllOf;
using testing::HasSubstr;

using Vector = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Refusal : public testing::Test {
 protected:
  std::string refused(const Recipe& recipe, const Options& options = {}) {
    const Result<test::MemorySink> sink = models_.merge(recipe, options);
    EXPECT_FALSE(sink) << "it should have been refused";
    if (sink) return {};
    EXPECT_EQ(exit_code(sink.error().kind), 2);
    return sink.error().describe();
  }

  Models models_;
};

TEST_F(Refusal, ListsEveryTensorThatDiffers) {
  models_.add("base", {{"a", {2}, {1, 1}}, {"b", {2, 2}, {1, 1, 1, 1}}, {"c", {1}, {1}}});
  models_.add("m", {{"b", {4}, {1, 1, 1, 1}}, {"c", {1}, {1}, DType::f16}, {"d", {1}, {1}}});

  EXPECT_THAT(refused(recipe_of("task_arithmetic", {"m"}, "base")),
              AllOf(HasSubstr("differ in 4 places"),
                    HasSubstr("tensor \"a\" of base is missing in m"),
                    HasSubstr("tensor \"b\": shape [2,2] in base, [4] in m"),
                    HasSubstr("tensor \"c\": F32 in base, F16 in m"),
                    HasSubstr("tensor \"d\" of m is missing in base")));
}

TEST_F(Refusal, CutsLongListsButCountsAll) {
  std::vector<GivenTensor> many;
  for (int i = 0; i < 50; ++i) many.push_back({"t" + std::to_string(i), {1}, {1}});
  models_.add("a", many);
  models_.add("b", vector_model({1}));
  EXPECT_THAT(refused(recipe_of("average", {"a", "b"})),
              HasSubstr("differ in 51 places, the first 20 of them"));
}

// Every method must find one bad number, wherever it hides: in entries that would be trimmed, in
// models of weight 0, in the base.
class BadNumber : public Refusal, public testing::WithParamInterface<std::string> {
 protected:
  void expect_found(const std::string& model, double bad) {
    constexpr std::size_t kCount = 600000, kPlace = 540001;  // in the second piece
    for (const std::string name : {"base", "a", "b"}) {
      Vector numbers(kCount, name == "base" ? 1.0 : 1.5);
      if (name == model) numbers[kPlace] = numbers[kPlace + 5] = bad;
      models_.add(name, vector_model(numbers));
      if (name == "base") continue;
      if (GetParam() == "fisher") models_.set_statistics(name, vector_model(Vector(kCount, 1.0)));
      if (GetParam() == "regmean") models_.set_statistics(name, vector_model({1}));
    }
    Recipe recipe = recipe_of(GetParam(), {"a", "b"}, "base");
    if (GetParam() == "linear") recipe.weights = {1, 0};
    recipe.density = 0.01;
    EXPECT_THAT(refused(recipe),
                HasSubstr("tensor \"w\" of " + model + " holds NaN or infinity at element 540001"));
  }
};

TEST_P(BadNumber, IsFoundInAModel) {
  expect_found("b", std::nan(""));
  expect_found("b", -kInfinity);
}

TEST_P(BadNumber, IsFoundInTheBaseEvenWhereTheMethodDoesNotReadIt) {
  expect_found("base", kInfinity);
}

INSTANTIATE_TEST_SUITE_P(Methods,
                         BadNumber,
                         testing::ValuesIn(merge::methods()),
                         [](const auto& given) { return given.param; });

TEST_F(Refusal, IsTheSameForAnyNumberOfThreads) {
  Vector numbers(2000000, 1.0);
  for (const std::size_t place : {1999999U, 700000U, 1200000U}) numbers[place] = kInfinity;
  models_.add("a", vector_model(numbers));
  Options options;
  options.threads = 1;
  const std::string one = refused(recipe_of("average", {"a"}), options);
  EXPECT_THAT(one, HasSubstr("at element 700000"));
  options.threads = 5;
  EXPECT_EQ(refused(recipe_of("average", {"a"}), options), one);
}

TEST_F(Refusal, DoesNotTurnLargeNumbersIntoInfinity) {
  models_.add("a", vector_model({1, 65519}));
  models_.add("b", vector_model({1, 65521}));
  Options options;
  options.dtype = DType::f16;
  EXPECT_THAT(refused(recipe_of("average", {"a", "b"}), options),
              HasSubstr("the result at element 1 is beyond the range of F16"));
  EXPECT_EQ(models_.merged(recipe_of("average", {"a"}), options).numbers("w")[1], 65504);
}

TEST_F(Refusal, FindsTheElementWhereADifferenceOverflows) {
  constexpr std::size_t kCount = 600000, kPlace = 540001;  // in the second piece
  Vector base(kCount, 0.0), model(kCount, 1.0);
  base[kPlace] = -3e38, model[kPlace] = 3e38;
  models_.add("base", vector_model(base));
  models_.add("m", vector_model(model));
  models_.add("n", vector_model(Vector(kCount, 1.0)));
  const std::string why =
      "tensor \"w\": the difference of m to the base overflows F32 at element 540001";
  Recipe untrimmed = recipe_of("ties", {"n", "m"}, "base");
  untrimmed.trim = false;

  EXPECT_THAT(refused(recipe_of("ties", {"n", "m"}, "base")), HasSubstr(why));
  EXPECT_THAT(refused(untrimmed), HasSubstr(why));
  EXPECT_THAT(refused(recipe_of("task_arithmetic", {"n", "m"}, "base")), HasSubstr(why));
  const auto compared =
      merge::compare(models_.inputs(recipe_of("average", {"n", "m"}, "base")), 1, {});
  ASSERT_FALSE(compared);
  EXPECT_THAT(compared.error().what, HasSubstr(why));
  EXPECT_TRUE(models_.merge(recipe_of("average", {"n", "m"}, "base"))) << "it subtracts nothing";
}

TEST_F(Refusal, SaysWhichVectorIsTooLongToTurn) {
  models_.add("a", vector_model({1, 2}, DType::f64));
  models_.add("b", vector_model({1, 1e200}, DType::f64));
  EXPECT_THAT(refused(recipe_of("slerp", {"a", "b"})),
              HasSubstr("tensor \"w\": the squared length of b overflows F64"));
}

TEST_F(Refusal, TakesGramMatricesOfMatricesOnly) {
  for (const std::vector<std::uint64_t>& shape :
       std::vector<std::vector<std::uint64_t>>{{}, {2}, {2, 1, 1}}) {
    const std::size_t count = shape.empty() ? 1 : 2;
    models_.add("a", {{"w", shape, Vector(count, 1.0)}});
    models_.set_statistics("a", {{"w.gram", shape, Vector(count, 1.0)}});
    EXPECT_THAT(refused(recipe_of("regmean", {"a"})),
                HasSubstr("\"w.gram\" in the statistics of a is for no matrix"));
  }
}

TEST_F(Refusal, TakesSymmetricGramMatricesOnly) {
  models_.add("a", {{"w", {1, 2}, {1, 2}}});
  models_.set_statistics("a", {{"w.gram", {2, 2}, {4, 1, 1.1, 4}}});
  EXPECT_THAT(refused(recipe_of("regmean", {"a"})),
              HasSubstr("Gram matrix of tensor \"w\" in the statistics of a is not symmetric"));
  models_.set_statistics("a", {{"w.gram", {2, 2}, {4, 1, 1.0001, 4}}});
  EXPECT_TRUE(models_.merge(recipe_of("regmean", {"a"}))) << "sums in another order differ so";
}

TEST_F(Refusal, TakesStatisticsOfTheSameRunAndStepOnly) {
  const auto statistics_of = [&](const std::string& run, const std::string& checkpoint) {
    models_.set_statistics("a", vector_model({1}), {{"run", run}, {"checkpoint", checkpoint}});
  };
  models_.add("a", vector_model({1}), {{"run", "r1"}, {"step", "20"}});
  statistics_of("r2", "attempt-1/checkpoint-20");
  EXPECT_THAT(refused(recipe_of("fisher", {"a"})),
              HasSubstr("the statistics of a are of run r2, the model is of run r1"));
  statistics_of("r1", "attempt-1/checkpoint-120");
  EXPECT_THAT(refused(recipe_of("fisher", {"a"})),
              HasSubstr("the statistics of a are of step 120, the model is of step 20"));
  statistics_of("r1", "attempt-3/checkpoint-20");
  EXPECT_TRUE(models_.merge(recipe_of("fisher", {"a"})));
  models_.add("a", vector_model({1}));
  statistics_of("r1", "attempt-3/checkpoint-20");
  EXPECT_TRUE(models_.merge(recipe_of("fisher", {"a"}))) << "a model of another program";
}

TEST_F(Refusal, WritesNoOutputOverWhatIsNoFile) {
  models_.add("a", vector_model({1}));
  const Recipe recipe = recipe_of("average", {"a"});
  const Path folder = models_.folder() / "folder";
  ASSERT_TRUE(real_files().make_folders(folder));
  for (const Path& output : {folder, Path("/dev/null"), models_.folder() / "gone" / "out"}) {
    const auto done =
        merge::merge_to_file(real_files(), recipe, models_.inputs(recipe), output, {});
    ASSERT_FALSE(done) << output;
    EXPECT_EQ(done.error().kind, ErrorKind::usage);
  }
  EXPECT_TRUE(std::filesystem::is_directory(folder));
}

TEST_F(Refusal, OfAnOutputComesBeforeAnyWork) {
  models_.add("base", vector_model({1}));
  models_.add("a", vector_model({kInfinity}));  // trimming would refuse it
  const Recipe recipe = recipe_of("ties", {"a"}, "base");
  const auto done = merge::merge_to_file(
      real_files(), recipe, models_.inputs(recipe), models_.folder() / "gone" / "out", {});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, HasSubstr("does not exist"));
}

TEST_F(Refusal, OfStatisticsListsThemAsOtherDifferences) {
  models_.add("a", {{"u", {1}, {1}}, {"w", {2}, {1, 1}}});
  models_.set_statistics("a", {{"w", {1}, {1}}});
  const std::string text = refused(recipe_of("fisher", {"a"}));
  EXPECT_EQ(text.find("error: error:"), std::string::npos) << text;
  EXPECT_EQ(text.find("\n\n"), std::string::npos) << text;
}

TEST_F(Refusal, OfEightBitFloatsIsThatOfWholeNumbers) {
  models_.add("a", {{"w", {3}, {1, 0, 1}, DType::f8_e4m3}});
  models_.add("b", {{"w", {3}, {1, 0, 0}, DType::f8_e4m3}});
  EXPECT_THAT(refused(recipe_of("average", {"a", "b"})),
              HasSubstr("tensor \"w\" (F8_E4M3) of a and b differs at element 2"));
  EXPECT_TRUE(models_.merge(recipe_of("average", {"a", "a"})));
}

TEST_F(Refusal, NamesWholeNumbersThatDiffer) {
  models_.add("a", {{"mask", {3}, {1, 0, 1}, DType::boolean}, {"w", {1}, {1}}});
  models_.add("b", {{"mask", {3}, {1, 0, 0}, DType::boolean}, {"w", {1}, {1}}});
  EXPECT_THAT(refused(recipe_of("average", {"a", "b"})),
              HasSubstr("tensor \"mask\" (BOOL) of a and b differs at element 2"));
}

TEST_F(Refusal, SaysWhichStatisticsAreMissing) {
  models_.add("a", {{"u", {1}, {1}}, {"w", {2}, {1, 1}}});
  EXPECT_THAT(refused(recipe_of("fisher", {"a"})), HasSubstr("a has no statistics"));
  models_.set_statistics("a", {{"w", {1}, {1}}});
  EXPECT_THAT(refused(recipe_of("fisher", {"a"})),
              AllOf(HasSubstr("lack tensor \"u\""),
                    HasSubstr("\"w\" in the statistics of a is F32 [1], not [2]")));
  models_.set_statistics("a", {{"u", {1}, {1}}, {"w", {2}, {1, -1}}});
  EXPECT_THAT(refused(recipe_of("fisher", {"a"})), HasSubstr("holds numbers below 0"));
}

TEST_F(Refusal, NeedsARegularExpressionThatIsOne) {
  models_.add("a", vector_model({1}));
  Options options;
  options.ignore = "(";
  EXPECT_THAT(refused(recipe_of("average", {"a"}), options),
              HasSubstr("\"(\" is no regular expression"));
}

TEST_F(Refusal, CutsRowsOnlyWhereColumnsAgree) {
  models_.add("a", {{"e", {2, 2}, {1, 1, 1, 1}}});
  models_.add("b", {{"e", {2, 3}, {1, 1, 1, 1, 1, 1}}});
  Options options;
  options.resize = true;
  EXPECT_THAT(refused(recipe_of("average", {"a", "b"}), options), HasSubstr("shape [2,2] in a"));
}

// Two tensors, each of several pages of memory.
std::vector<GivenTensor> two_tensors(double seed) {
  std::vector<GivenTensor> tensors = {{"a", {100, 100}, {}}, {"b", {100, 100}, {}}};
  for (GivenTensor& tensor : tensors)
    for (int i = 0; i < 10'000; ++i) tensor.numbers.push_back(std::sin(seed * i + 1));
  return tensors;
}

class LostBytes : public Refusal {
 protected:
  void SetUp() override {
    models_.add("base", two_tensors(0.1));
    models_.add("x", two_tensors(0.2));
    models_.add("y", two_tensors(0.3));
  }
  void cut(const std::string& name) { std::filesystem::resize_file(models_.path(name), 100); }
};

TEST_F(LostBytes, BeforeAMethodReadsAreToldByFile) {
  cut("x");

  Recipe slerp = recipe_of("slerp", {"x", "y"});
  slerp.t = 0.5;
  for (const Recipe& recipe : {recipe_of("average", {"x", "y"}),
                               recipe_of("median", {"x", "y"}),
                               recipe_of("ties", {"x", "y"}, "base"),
                               recipe_of("dare_ties", {"x", "y"}, "base"),
                               slerp})
    EXPECT_THAT(refused(recipe, {.threads = 1}),
                AllOf(HasSubstr("x lost some of its"), HasSubstr("while it was read")))
        << recipe.method;
}

TEST_F(LostBytes, BetweenTwoTensorsAreTold) {
  for (const char* method : {"average", "ties"}) {
    SetUp();
    Options options{.threads = 1, .input_digests = false};
    options.progress = [&](std::uint64_t, std::uint64_t) { cut("y"); };

    EXPECT_THAT(refused(recipe_of(method, {"x", "y"}, "base"), options), HasSubstr("y lost some"));
  }
}

TEST_F(LostBytes, LeaveNoFile) {
  Options options{.threads = 1};
  options.progress = [&](std::uint64_t, std::uint64_t) { cut("y"); };
  const Recipe recipe = recipe_of("average", {"x", "y"});
  const Path output = models_.folder() / "out.safetensors";

  EXPECT_FALSE(merge::merge_to_file(real_files(), recipe, models_.inputs(recipe), output, options));

  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST_F(LostBytes, OfACopiedTensorAreTold) {
  Options options{.threads = 1, .ignore = "b"};
  options.progress = [&](std::uint64_t, std::uint64_t) { cut("x"); };

  EXPECT_THAT(refused(recipe_of("average", {"x", "y"}), options), HasSubstr("x lost some"));
}

TEST_F(LostBytes, OfComparedModelsAreTold) {
  cut("y");

  const auto found =
      merge::compare(models_.inputs(recipe_of("ties", {"x", "y"}, "base")), 0.2, {.threads = 1});

  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().describe(), HasSubstr("y lost some"));
}

TEST_F(LostBytes, DoNotReturn) {
  const Recipe recipe = recipe_of("average", {"x", "y"});
  const merge::Inputs inputs = models_.inputs(recipe);
  const auto size = std::filesystem::file_size(models_.path("x"));
  cut("x");
  EXPECT_FALSE(inputs.models[0].checkpoint->check_whole());

  std::filesystem::resize_file(models_.path("x"), size);  // other bytes in the old place

  EXPECT_FALSE(inputs.models[0].checkpoint->check_whole());
  EXPECT_TRUE(inputs.models[1].checkpoint->check_whole());
}

}  // namespace
}  // namespace ration
