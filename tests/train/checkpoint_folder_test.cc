#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/failing_files.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A model whose weights and moments are all different numbers.
struct State {
  explicit State(const run::RunSpec& spec, double start = 0)
      : parameters(spec, at::kFloat), optimiser(spec, parameters) {
    const auto fill = [&](at::Tensor flat, double offset) {
      flat.copy_(at::arange(flat.numel(), at::kDouble) * 1e-3 + start + offset);
    };
    for (const Parameters::Entry& entry : parameters.entries())
      fill(entry.value.detach().view(-1), 0.25);
    fill(optimiser.first_moment(), 0.5);
    fill(optimiser.second_moment(), 0.75);
  }

  bool operator==(State& other) {
    for (const Parameters::Entry& entry : parameters.entries()) {
      const auto part = [&](State& state, const at::Tensor& flat) {
        const at::Tensor& value = state.parameters.at(entry.shape.name).value;
        const std::int64_t begin =
            value.storage_offset() - state.parameters.values().storage_offset();
        return flat.narrow(0, begin, value.numel());
      };
      if (!at::equal(entry.value, other.parameters.at(entry.shape.name).value) ||
          !at::equal(part(*this, optimiser.first_moment()),
                     part(other, other.optimiser.first_moment())) ||
          !at::equal(part(*this, optimiser.second_moment()),
                     part(other, other.optimiser.second_moment())))
        return false;
    }
    return true;
  }

  Parameters parameters;
  AdamW optimiser;
};

class CheckpointFolderTest : public testing::Test {
 protected:
  CheckpointFolderTest() : folder_(data_.create("run")) {
    EXPECT_TRUE(folder_.claim_attempt());
    EXPECT_TRUE(folder_.claim_attempt());
  }

  CheckpointFolder checkpoints(Files& files = real_files(), std::string id = "id") {
    return {files, folder_, std::move(id)};
  }

  Path save(int attempt, std::int64_t step, State& state) {
    return checkpoints()
        .save(attempt, step, state.parameters, state.optimiser, {{"step", step}})
        .value();
  }

  std::optional<FoundCheckpoint> load(State& into, int attempt = 2) {
    broken_.clear();
    return checkpoints().load_newest(attempt, into.parameters, into.optimiser, broken_).value();
  }

  static void damage(const Path& file) {
    std::string bytes = real_files().read(file).value();
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    ASSERT_TRUE(real_files().write_whole(file, bytes));
  }

  test::TinyData data_;
  run::RunFolder folder_;
  std::vector<std::string> broken_;
};

TEST_F(CheckpointFolderTest, ComesBackBitForBit) {
  State saved(data_.spec, 3), loaded(data_.spec);
  save(1, 10, saved);

  const std::optional<FoundCheckpoint> found = load(loaded);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->step, 10);
  EXPECT_EQ(found->attempt, 1);
  EXPECT_EQ(found->progress, Json({{"step", 10}}));
  EXPECT_TRUE(saved == loaded);
  EXPECT_THAT(broken_, IsEmpty());
}

TEST_F(CheckpointFolderTest, FindsNothingInANewRun) {
  State state(data_.spec), untouched(data_.spec);

  EXPECT_FALSE(load(state));
  EXPECT_TRUE(state == untouched);
}

TEST_F(CheckpointFolderTest, TakesTheNewestOfAllAttemptsUpToItsOwn) {
  State first(data_.spec, 1), second(data_.spec, 2), loaded(data_.spec);
  save(1, 20, first);
  save(2, 9, second);

  EXPECT_EQ(load(loaded)->step, 20);
  EXPECT_TRUE(loaded == first);
  save(2, 30, second);
  EXPECT_EQ(load(loaded)->step, 30);
  EXPECT_EQ(load(loaded, 1)->step, 20);
}

TEST_F(CheckpointFolderTest, PassesOverABrokenOneAndSaysWhy) {
  for (const std::string file : {"model.safetensors", "state.safetensors", "meta.json"}) {
    State older(data_.spec, 1), newer(data_.spec, 2), loaded(data_.spec);
    save(1, 10, older);
    const Path path = save(1, 20, newer);

    damage(path / file);

    EXPECT_EQ(load(loaded)->step, 10) << file;
    EXPECT_TRUE(loaded == older) << file;
    EXPECT_THAT(broken_, ElementsAre(HasSubstr("checkpoint-20"))) << file;
    ASSERT_TRUE(real_files().remove_all(path));
  }
}

TEST_F(CheckpointFolderTest, PassesOverOneWithAMissingOrAnotherRunsFile) {
  State older(data_.spec, 1), newer(data_.spec, 2), loaded(data_.spec);
  save(1, 10, older);
  ASSERT_TRUE(real_files().remove_all(save(1, 20, newer) / "state.safetensors"));
  ASSERT_TRUE(checkpoints(real_files(), "other")
                  .save(2, 30, newer.parameters, newer.optimiser, Json::object()));

  EXPECT_EQ(load(loaded)->step, 10);
  EXPECT_THAT(broken_,
              ElementsAre(HasSubstr("belongs to another run"), HasSubstr("state.safetensors")));
}

TEST_F(CheckpointFolderTest, ChangesNothingWhenEveryOneIsBroken) {
  State saved(data_.spec, 1), loaded(data_.spec), untouched(data_.spec);
  damage(save(1, 10, saved) / "state.safetensors");

  EXPECT_FALSE(load(loaded));
  EXPECT_TRUE(loaded == untouched);
}

TEST_F(CheckpointFolderTest, IgnoresWhatWasNotPublished) {
  State older(data_.spec, 1), newer(data_.spec, 2), loaded(data_.spec);
  save(1, 10, older);
  const Path path = save(1, 20, newer);
  ASSERT_TRUE(real_files().rename(path, Path(path) += ".tmp"));

  EXPECT_EQ(load(loaded)->step, 10);
  EXPECT_THAT(broken_, IsEmpty());
  save(1, 20, newer);
  EXPECT_EQ(load(loaded)->step, 20);
}

TEST_F(CheckpointFolderTest, KeepsTheNewestTwoOfAnAttempt) {
  State state(data_.spec);
  for (const std::int64_t step : {9, 10, 11, 100}) save(1, step, state);

  EXPECT_THAT(real_files().list(folder_.attempt_path(1)).value(),
              ElementsAre("checkpoint-100", "checkpoint-11"));
}

// At every operation on files, the process may die or the disk may be full.
TEST_F(CheckpointFolderTest, LeavesTheOlderOneUsableWhereverASaveEnds) {
  for (const auto mode : {test::FailingFiles::Mode::killed, test::FailingFiles::Mode::disk_full}) {
    bool failed = true;
    int at = 0;
    for (; failed; ++at) {
      ASSERT_TRUE(real_files().remove_all(folder_.attempt_path(1)));
      State older(data_.spec, 1), newer(data_.spec, 2), loaded(data_.spec);
      save(1, 10, older);
      test::FailingFiles files(real_files(), mode, at);

      const Result<Path> saved =
          checkpoints(files).save(1, 20, newer.parameters, newer.optimiser, {{"step", 20}});
      failed = files.failed();

      const std::optional<FoundCheckpoint> found = load(loaded);
      ASSERT_TRUE(found) << "operation " << at;
      EXPECT_TRUE(found->step == 20 ? loaded == newer : loaded == older) << "operation " << at;
      EXPECT_THAT(broken_, IsEmpty()) << "operation " << at;
      EXPECT_TRUE(!saved || found->step == 20) << "operation " << at;
    }
    EXPECT_GT(at, 5);  // three files, two folders, and the old checkpoint
  }
}

}  // namespace
}  // namespace ration::train
