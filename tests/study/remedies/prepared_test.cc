#include "study/remedies/prepared.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/sweep_support.h"

namespace ration::study {
namespace {

using scheduler::test::PreparedFolder;
using testing::HasSubstr;

constexpr const char* kRuns =
    "data = 'data'\nseeds = 2\nvary_subset = false\n[fixed]\ntokens = 6400\n"
    "[[block]]\nname = 'repeat'\n"
    "[[block]]\nname = 'half'\n[block.fixed]\ntokens = 3200\n"
    "[[block]]\nname = 'decay'\n[block.fixed]\nweight_decay = 1.0\n";
constexpr const char* kTable =
    "[remedies]\nbaseline = 'repeat'\n[[remedies.arm]]\nname = 'decay'\nkind = 'model'\n";

Result<PreparedRemedies> prepared(const PreparedFolder& folder, const std::string& text) {
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, folder.file("sweep.toml"));
  if (!sweep) return std::move(sweep).error();
  return prepare_remedies(*sweep, {.store = folder.path() / "store"}, real_files());
}

std::string refusal(const std::string& text) {
  const PreparedFolder folder;
  const Result<PreparedRemedies> found = prepared(folder, text);
  return found ? "taken" : found.error().describe();
}

TEST(PreparedRemedies, TakeBlocksAndChainsOfTheSweep) {
  const std::string chain =
      "[[remedies.arm]]\nname = 'soup'\nkind = 'merge'\nstart = 'half'\n"
      "branches = [{tokens = 1600}, {tokens = 1600}]\n";

  EXPECT_EQ(refusal(std::string(kRuns) + kTable + chain), "taken");
}

TEST(PreparedRemedies, RefuseABlockThatAnEarlierOneTookRunsFrom) {
  const std::string law = "[[block]]\nname = 'law'\nseeds = 1\n";
  std::string runs = kRuns;
  runs.insert(runs.find("[[block]]"), law);

  EXPECT_THAT(refusal(runs + kTable), HasSubstr("\"repeat\" lacks replicas of size 2x64"));
}

TEST(PreparedRemedies, RefuseTwoSettingsInOneBlock) {
  std::string runs = kRuns;
  runs.insert(runs.find("weight_decay = 1.0") + 18, "\n[block.grid]\nlr = [1e-3, 3e-3]");

  EXPECT_THAT(refusal(runs + kTable), HasSubstr("two runs of size 2x64 and replica 0"));
}

TEST(PreparedRemedies, RefuseOtherHeldOutText) {
  std::string runs = kRuns;
  runs.insert(runs.find("weight_decay = 1.0"), "val_tokens = 640\n");

  EXPECT_THAT(refusal(runs + kTable), HasSubstr("\"decay\" is judged on other held-out text"));
}

TEST(PreparedRemedies, RefuseAStartOfASizeThatTheBaselineLacks) {
  std::string runs = kRuns;
  runs.insert(runs.find("tokens = 3200"), "width = 32\n");
  const std::string chain =
      "[[remedies.arm]]\nname = 'on'\nkind = 'start'\nstart = 'half'\nfinish = {tokens = 640}\n";

  EXPECT_THAT(refusal(runs + kTable + chain), HasSubstr("starts with size 2x32"));
}

TEST(PreparedRemedies, TellWhatIsWrongWithAChainBeforeAnythingIsTrained) {
  const std::string chain =
      "[[remedies.arm]]\nname = 'on'\nkind = 'start'\nstart = 'half'\n"
      "finish = {tokns = 640, lr = -3}\n";

  const std::string told = refusal(std::string(kRuns) + kTable + chain);

  EXPECT_THAT(told, HasSubstr("arm \"on\""));
  EXPECT_THAT(told, HasSubstr("tokns"));
}

TEST(PreparedRemedies, NameATaskThatIsNotThere) {
  std::string table = kTable;
  table.insert(table.find("[[remedies.arm]]"), "task = 'none.jsonl'\n");

  EXPECT_THAT(refusal(kRuns + table), HasSubstr("none.jsonl"));
}

}  // namespace
}  // namespace ration::study
