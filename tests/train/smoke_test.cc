// The reference loss in smoke.cc is the last one of eager PyTorch 2.13 in double precision:
//   ration-train --bench family=llama layers=2 width=32 heads=2 context=32 vocab=16
//   batch_sequences=8 lr=0.01
//     precision=fp64 --steps 4 --export F
//   tools/bench_torch.py F

#include "train/smoke.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace ration::train {
namespace {

TEST(Smoke, FindsNothingWrongHereAndLeavesNothingBehind) {
  const test::TemporaryFolder folder;
  int shown = 0;

  const std::vector<SmokeCheck> checks =
      smoke(real_files(), folder.path(), [&](const SmokeCheck&) { ++shown; });

  for (const SmokeCheck& check : checks) EXPECT_TRUE(check.passed) << check.name << check.detail;
  EXPECT_EQ(shown, 6);
  EXPECT_TRUE(real_files().list(folder.path()).value().empty());
}

TEST(Smoke, SaysWhereItCannotWrite) {
  const std::vector<SmokeCheck> checks =
      smoke(real_files(), "/proc/nowhere", [](const SmokeCheck&) {});

  for (const SmokeCheck& check : checks)
    if (check.name == "writes") {
      EXPECT_FALSE(check.passed);
      EXPECT_NE(check.detail.find("/proc/nowhere"), std::string::npos) << check.detail;
    }
}

}  // namespace
}  // namespace ration::train
