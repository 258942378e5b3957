#include "study/merge/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "scheduler/sweep_support.h"

namespace ration::study {
namespace {

using scheduler::test::PreparedFolder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const std::string kSweep =
    "data = 'data'\n"
    "[sources.code]\ndata = 'code'\n"
    "[fixed]\ntokens = 6400\n"
    "[[block]]\nname = 'base'\n"
    "[[block]]\nname = 'tuned'\nseeds = 2\n[block.fixed]\ninit = 'block:base'\n"
    "[block.grid]\ndata = ['data', 'code']\n"
    "[[block]]\nname = 'both'\nseeds = 2\n"
    "[block.fixed]\ninit = 'block:base'\naux = 'code'\naux_share = 0.5\n";

std::vector<std::string> problems_of(const Error& error) {
  std::vector<std::string> all = {error.what};
  for (const Error& cause : error.causes) all.push_back(cause.what);
  return all;
}

class Models : public testing::Test {
 protected:
  Models() { std::filesystem::copy(PreparedFolder(900'000).file("data"), folder_.file("code")); }

  Result<MergeModels> models_of(const std::string& runs, const std::string& table) {
    const std::string text = runs + "[merge]\n" + table;
    Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, folder_.file("sweep.toml"));
    EXPECT_TRUE(sweep) << sweep.error().describe();
    Result<MergeTable> read = read_merge_table(sweep->study->table, sweep->file);
    EXPECT_TRUE(read) << read.error().describe();
    return merge_models(*read, *sweep, real_files(), folder_.file("store"));
  }

  std::vector<std::string> refused(const std::string& runs, const std::string& table) {
    const Result<MergeModels> models = models_of(runs, table);
    EXPECT_FALSE(models);
    return models ? std::vector<std::string>{} : problems_of(models.error());
  }

  void write_weights(const std::string& name, float value, std::size_t count = 1) {
    const std::vector<float> numbers(count, value);
    EXPECT_TRUE(checkpoint::write_safetensors(real_files(),
                                              folder_.file(name),
                                              {{.name = "w",
                                                .dtype = checkpoint::DType::f32,
                                                .shape = {count},
                                                .bytes = std::as_bytes(std::span(numbers))}}));
  }

  PreparedFolder folder_;
};

TEST_F(Models, AreFoundByBlockCorpusAndReplica) {
  const Result<MergeModels> models =
      models_of(kSweep, "base = 'base'\nmodels = 'tuned'\nmultitask = 'both'\nwindows = 8\n");

  ASSERT_TRUE(models) << models.error().describe();
  EXPECT_THAT(models->corpora, ElementsAre("data", "code"));
  EXPECT_THAT(models->replicas, ElementsAre(0, 1));
  EXPECT_THAT(models->base, ElementsAre("base", "base"));
  EXPECT_THAT(models->own[1], ElementsAre("code/0", "code/1"));
  ASSERT_THAT(models->multitask, SizeIs(1));
  EXPECT_THAT(models->multitask[0].corpora, ElementsAre(0U, 1U));
  EXPECT_THAT(models->weights, SizeIs(1 + 4 + 2));
  ASSERT_THAT(models->windows, SizeIs(2));
  EXPECT_EQ(models->windows[1].report.first_window, 8);
  EXPECT_EQ(models->shape.vocab, 257);
}

TEST_F(Models, NameWhatTheBlocksLack) {
  EXPECT_THAT(refused(kSweep, "base = 'bass'\nmodels = 'tuned'\nmultitask = 'all'\n"),
              testing::AllOf(Contains(HasSubstr("base: no run is of a block \"bass\"")),
                             Contains(HasSubstr("multitask: no run is of a block \"all\""))));
  EXPECT_THAT(refused(kSweep, "base = 'tuned'\nmodels = 'both'\n"),
              Contains(HasSubstr("base \"tuned\" has 2 runs of replica 0")));
  EXPECT_THAT(refused(kSweep, "base = 'base'\nmodels = 'both'\n"),
              Contains(HasSubstr("all trained on one corpus")));
  EXPECT_THAT(refused(kSweep, "base = 'base'\nmodels = ['tuned', 'both']\n"),
              Contains(HasSubstr("several runs of data, replica 0")));
}

TEST_F(Models, MustBeginWithTheBase) {
  const std::string others =
      "data = 'data'\n[fixed]\ntokens = 6400\n"
      "[[block]]\nname = 'base'\n"
      "[[block]]\nname = 'tuned'\n[block.grid]\ndata = ['data', 'code']\n";

  EXPECT_THAT(refused(others, "base = 'base'\nmodels = 'tuned'\n"),
              Contains(HasSubstr("code of replica 0 does not begin with the base")));
}

TEST_F(Models, MayBeWeightsThatExist) {
  for (const char* name : {"base.safetensors", "a.safetensors", "b.safetensors"})
    write_weights(name, 1);
  const std::string table =
      "base = 'file:base.safetensors'\n"
      "models = ['file:a.safetensors', 'file:b.safetensors']\n"
      "corpora = ['data', 'code']\n";

  const Result<MergeModels> models =
      models_of("", table + "[merge.settings]\nwidth = 32\nheads = 2\n");

  ASSERT_TRUE(models) << models.error().describe();
  EXPECT_THAT(models->corpora, ElementsAre("data", "code"));
  EXPECT_THAT(models->own[0], ElementsAre("data/0"));
  EXPECT_EQ(models->files.at("code/0"), folder_.file("b.safetensors"));
  EXPECT_EQ(models->weights.at("base").sha256.size(), 64U);
  EXPECT_EQ(models->shape.width, 32);
  EXPECT_EQ(models->shape.vocab, 257);
  EXPECT_EQ(checkpoint_path(real_files(), "store", *models, "data/0").value(),
            Path(folder_.file("a.safetensors")));
  EXPECT_THAT(refused("", table), Contains(HasSubstr("names files alone")));
}

TEST_F(Models, OfOtherShapesAreRefusedWithTheTensor) {
  write_weights("base.safetensors", 1);
  write_weights("a.safetensors", 1);
  write_weights("b.safetensors", 1, 2);

  const Result<MergeModels> models =
      models_of("",
                "base = 'file:base.safetensors'\n"
                "models = ['file:a.safetensors', 'file:b.safetensors']\n"
                "corpora = ['data', 'code']\n[merge.settings]\nwidth = 32\nheads = 2\n");

  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().kind, ErrorKind::input);
  EXPECT_THAT(models.error().what, HasSubstr("\"w\" is F32 [2], not F32 [1]"));
}

TEST_F(Models, ThatCannotBeReadAreNamedTogether) {
  write_weights("base.safetensors", 1);
  const std::string run = "run:0123456789abcdef0123456789abcdef";

  const std::vector<std::string> problems =
      refused("",
              "base = 'file:base.safetensors'\nmodels = ['file:none', '" + run +
                  "']\ncorpora = ['data', 'code']\n");

  EXPECT_THAT(problems, Contains(HasSubstr("there is no")));
  EXPECT_THAT(problems, Contains(HasSubstr("is not in the store")));
}

}  // namespace
}  // namespace ration::study
