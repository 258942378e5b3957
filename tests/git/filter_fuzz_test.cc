// The long form of the fuzz in filter_process_test.cc.

#include <gtest/gtest.h>

#include "base/clock.h"
#include "git/conversation.h"
#include "support/temporary_folder.h"

namespace ration::git {
namespace {

TEST(FilterFuzz, AMinuteOfDamagedConversations) {
  const ration::test::TemporaryFolder folder;
  const double end = system_clock().monotonic_seconds() + 60;

  for (std::uint64_t seed = 2; system_clock().monotonic_seconds() < end; ++seed)
    test::fuzz_conversations(folder.path(), seed, 2000);
}

}  // namespace
}  // namespace ration::git
