#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

namespace ration::store {
namespace {

using testing::HasSubstr;

using Lock = StoreTest;

TEST_F(Lock, ASecondSchedulerIsRefusedAndToldWhoHoldsTheStore) {
  const Writer first = open_writer();

  const auto second = Writer::open(real_files(), clock, folder.path());

  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error().kind), 2);
  EXPECT_THAT(second.error().what, HasSubstr(std::to_string(getpid())));
}

TEST_F(Lock, IsTakenOverSilentlyFromADeadProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const Writer writer = open_writer();
    std::_Exit(0);  // no destructor runs: as after a kill
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);

  EXPECT_TRUE(Writer::open(real_files(), clock, folder.path()));
}

TEST_F(Lock, OfASilentOtherHostNeedsAMinuteAndAWord) {
  const pid_t child = fork();
  if (child == 0) {
    const Writer writer = open_writer({.host = "elsewhere"});
    std::_Exit(0);
  }
  waitpid(child, nullptr, 0);

  clock.now += 30;
  EXPECT_FALSE(Writer::open(real_files(), clock, folder.path(), {.take_over = true}));
  clock.now += 40;
  const auto refused = Writer::open(real_files(), clock, folder.path());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("elsewhere"));
  EXPECT_TRUE(Writer::open(real_files(), clock, folder.path(), {.take_over = true}));
}

TEST_F(Lock, ARebuildRespectsTheLeaseOfAnotherHost) {
  const pid_t child = fork();
  if (child == 0) {
    const Writer writer = open_writer({.host = "elsewhere"});
    std::_Exit(0);
  }
  waitpid(child, nullptr, 0);

  const auto at_once = Writer::open(real_files(), clock, folder.path(), {.rebuild = true});
  clock.now += 70;
  const auto later = Writer::open(real_files(), clock, folder.path(), {.rebuild = true});

  ASSERT_FALSE(at_once);
  ASSERT_FALSE(later);
  EXPECT_THAT(later.error().what, HasSubstr("elsewhere"));
  EXPECT_TRUE(
      Writer::open(real_files(), clock, folder.path(), {.take_over = true, .rebuild = true}));
}

TEST_F(Lock, AHolderThatLostItsLeaseWritesNothingMore) {
  Writer writer = open_writer();
  const auto run = add_sweep(writer, {test::small_spec()})[0];
  {
    // A host that does not see our flock takes over.
    std::filesystem::remove(folder.path() / "ration.lock");
    clock.now += 61;
    Writer other = open_writer({.take_over = true, .host = "elsewhere"});

    const auto attempt = writer.begin_attempt(run, 1, kToken);

    ASSERT_FALSE(attempt);
    EXPECT_THAT(attempt.error().what, HasSubstr("elsewhere"));
  }
  EXPECT_TRUE(open_reader().attempts(run).value().empty());
}

TEST_F(Lock, AHolderWhoseStoreWasTakenOverAndLeftAgainWritesNothingMore) {
  Writer writer = open_writer();
  const auto run = add_sweep(writer, {test::small_spec()})[0];
  std::filesystem::remove(folder.path() / "ration.lock");
  clock.now += 61;
  ASSERT_TRUE(
      Writer::open(real_files(), clock, folder.path(), {.take_over = true, .host = "elsewhere"}));

  const auto attempt = writer.begin_attempt(run, 1, kToken);

  ASSERT_FALSE(attempt);
  EXPECT_EQ(attempt.error().kind, ErrorKind::interrupted);
}

TEST_F(Lock, DoesNotKeepReadersOut) {
  const Writer writer = open_writer();

  EXPECT_TRUE(Reader::open(real_files(), folder.path()));
}

}  // namespace
}  // namespace ration::store
