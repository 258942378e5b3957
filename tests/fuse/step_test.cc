#include "fuse/step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unsynced_files.h"
#include "fuse/measure.h"
#include "fuse/world.h"
#include "merge/merge.h"

namespace ration::fuse {
namespace {

using test::Numbers;
using test::read_model;
using test::write_model;
using testing::HasSubstr;

class FuseStep : public testing::Test {
 protected:
  FuseStep() {
    write_model(path("base"), {0, 1, 2, 3});
    write_model(path("a"), {1, 1, 2, 3});
    write_model(path("b"), {0, 3, 2, 4});
  }

  Path path(const std::string& name) const { return folder_ / (name + ".safetensors"); }
  Part part(const std::string& name, const std::string& from = "base") const {
    return {.contributor = name, .model = path(name), .from = path(from)};
  }
  Step step(const std::vector<std::string>& names) const {
    Step step;
    step.base = path("base");
    for (const std::string& name : names) step.parts.push_back(part(name));
    step.op.method = "average";
    return step;
  }
  Stepped stepped(const Step& step, const std::string& work = "work") {
    Result<Stepped> done = fuse_step(unsynced_files(), step, folder_ / work, 1);
    EXPECT_TRUE(done) << done.error().describe();
    return *done;
  }
  std::string bytes(const Path& file) const { return real_files().read(file).value(); }

  test::TemporaryFolder folder_;
};

TEST_F(FuseStep, IsTheFileThatMergeWritesWhereTheStepIsWhole) {
  checkpoint::Checkpoint a = checkpoint::Checkpoint::open(real_files(), path("a")).value();
  checkpoint::Checkpoint b = checkpoint::Checkpoint::open(real_files(), path("b")).value();
  merge::Recipe recipe;
  recipe.models = {"a", "b"};
  ASSERT_TRUE(merge::merge_to_file(unsynced_files(),
                                   recipe,
                                   {nullptr, {{"a", &a, nullptr}, {"b", &b, nullptr}}},
                                   path("merged"),
                                   {}));

  const Stepped fused = stepped(step({"a", "b"}));

  EXPECT_EQ(bytes(fused.model), bytes(path("merged")));
  EXPECT_EQ(read_model(fused.model), (Numbers{0.5, 2, 2, 3.5}));
  EXPECT_TRUE(fused.velocity.empty());
}

TEST_F(FuseStep, IsTheMeanTaskVectorUpToRounding) {
  test::World world;
  std::vector<Numbers> models;
  Step mean;
  mean.base = path("start");
  mean.op.method = "average";
  write_model(path("start"), world.start);
  for (const auto& [id, goal] : world.goals) {
    write_model(path(id), goal);
    models.push_back(read_model(path(id)));
    mean.parts.push_back(part(id, "start"));
  }
  const Numbers start = read_model(path("start"));

  const Numbers fused = read_model(stepped(mean).model);

  Step tau = mean;
  tau.op.method = "task_arithmetic";
  const Numbers by_tau = read_model(stepped(tau, "tau").model);
  for (std::size_t j = 0; j < fused.size(); ++j) {
    double sum = 0;
    for (const Numbers& model : models) sum += model[j] - start[j];
    const double expected = start[j] + sum / static_cast<double>(models.size());
    EXPECT_NEAR(fused[j], expected, 1e-6);
    EXPECT_NEAR(by_tau[j], expected, 1e-6);
  }
}

TEST_F(FuseStep, TakesAnOuterStepAndKeepsItsVelocity) {
  Step first = step({"a", "b"});  // Fuse = {0.5, 1, 0, 0.5}
  first.eta = 0.5;
  first.momentum = 0.5;

  const Stepped one = stepped(first, "one");
  Step second = first;
  second.base = one.model;
  second.velocity = one.velocity;
  for (Part& each : second.parts) each.from = path("base");
  const Stepped two = stepped(second, "two");

  EXPECT_EQ(read_model(one.model), (Numbers{0.25, 1.5, 2, 3.25}));
  EXPECT_EQ(read_model(one.velocity), (Numbers{0.5, 1, 0, 0.5}));
  // The same task vectors, moved onto the new base: v = v/2 + Fuse.
  EXPECT_EQ(read_model(two.velocity), (Numbers{0.75, 1.5, 0, 0.75}));
  EXPECT_EQ(read_model(two.model), (Numbers{0.625, 2.25, 2, 3.625}));
}

TEST_F(FuseStep, WeighsByTheWeightsOfThoseThatAreThere) {
  Step weighted = step({"a", "b"});
  weighted.parts[0].weight = 3;
  EXPECT_EQ(read_model(stepped(weighted).model), (Numbers{0.75, 1.5, 2, 3.25}));

  Step equal = step({"a", "b"});
  equal.parts[0].weight = equal.parts[1].weight = 7;
  EXPECT_EQ(bytes(stepped(equal, "equal").model), bytes(stepped(step({"a", "b"}), "x").model));
}

TEST_F(FuseStep, DividesSumsOfTaskVectorsByTheWeightsAndNotByLambda) {
  Step sum = step({"a", "b"});
  sum.op.method = "task_arithmetic";
  sum.op.lambda = 2;
  EXPECT_EQ(read_model(stepped(sum).model), (Numbers{1, 3, 2, 4}));
}

TEST_F(FuseStep, MovesAContributionFromAnOlderBaseOntoThisOne) {
  write_model(path("newer"), {10, 10, 10, 10});
  Step late = step({"a"});
  late.base = path("newer");
  late.parts[0].scale = 0.5;

  EXPECT_EQ(read_model(stepped(late).model), (Numbers{10.5, 10, 10, 10}));
}

TEST_F(FuseStep, RefusesAStepBeyondTheRangeOfTheNumbers) {
  Step far = step({"a"});
  far.eta = 1e300;

  const Result<Stepped> done = fuse_step(unsynced_files(), far, folder_ / "work", 1);

  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, HasSubstr("tensor \"w\": the outer step at element 0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "work" / "next.safetensors"));
}

TEST_F(FuseStep, DoesNotDependOnThreads) {
  Step ties = step({"a", "b"});
  ties.op.method = "ties";
  ties.op.k = 1;
  ties.eta = 0.7;
  const std::string one = bytes(stepped(ties).model);
  const Result<Stepped> four = fuse_step(unsynced_files(), ties, folder_ / "four", 4);
  EXPECT_EQ(bytes(four->model), one);
}

TEST(Measures, AreNormsAndMeanCosinesOfTaskVectors) {
  test::TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder / (std::string(name) + ".safetensors"); };
  write_model(path("base"), {1, 1, 1});
  write_model(path("x"), {4, 1, 1});
  write_model(path("y"), {1, 5, 1});
  write_model(path("z"), {-1, 1, 1});
  Files& files = real_files();

  EXPECT_DOUBLE_EQ(sound_norm(files, path("base"), path("y"), "y", 1).value(), 4);
  EXPECT_DOUBLE_EQ(norm_of(files, path("x"), 1).value(), std::sqrt(18.0));
  const Numbers cosines =
      mean_cosines(files, path("base"), {path("x"), path("y"), path("z")}, 1).value();
  EXPECT_EQ(cosines, (Numbers{-0.5, 0, -0.5}));
}

TEST(Measures, AlterATaskVectorAsAnExperimentAsks) {
  test::TemporaryFolder folder;
  write_model(folder / "base", Numbers(4000, 1));
  Numbers moved(4000, 1);
  moved[0] = 4;
  write_model(folder / "model", moved);
  Files& files = unsynced_files();

  ASSERT_TRUE(scale_tau(files, folder / "base", folder / "model", 10, folder / "ten", 1));
  ASSERT_TRUE(scale_tau(files, folder / "base", folder / "model", -1, folder / "flipped", 1));
  ASSERT_TRUE(random_tau(files, folder / "base", 3, 5, folder / "random"));
  ASSERT_TRUE(random_tau(files, folder / "base", 3, 5, folder / "again"));

  EXPECT_EQ(read_model(folder / "ten")[0], 31);
  EXPECT_EQ(read_model(folder / "flipped")[0], -2);
  EXPECT_NEAR(sound_norm(files, folder / "base", folder / "random", "r", 1).value(), 3, 0.2);
  EXPECT_EQ(files.read(folder / "random").value(), files.read(folder / "again").value());
}

}  // namespace
}  // namespace ration::fuse
