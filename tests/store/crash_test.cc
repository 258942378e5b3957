// Every operation on files that a store makes, and each misfortune at it: what was acknowledged is
// there afterwards, and the same commands lead to the same end.

#include <optional>

#include "crash_fixture.h"
#include "store/database.h"

namespace ration::store {
namespace {

using testing::AnyOf;

class CrashOfCommands : public Crash {
 protected:
  CrashOfCommands() {
    disaster.while_stalled = [this] { clock.now += 60; };
  }

  void enumerate(int stride) {
    const int operations = undisturbed();
    const std::string expected = dump();
    ASSERT_GT(operations, 100);
    for_each_point(operations, stride, [&](const Mode& mode, int at) {
      clear();
      disaster.arm(mode.kind, at, mode.error);
      const int status = in_a_process([&] { return carry_out(); });
      disaster.arm(Misfortune::none, 0);
      EXPECT_THAT(status, AnyOf(0, 3, Disaster::kExit));
      if (mode.kind == Misfortune::stall) {
        EXPECT_EQ(status, 0);
      }
      expect_sound(mode.kind == Misfortune::drop);

      const Result<void> repeated = carry_out();

      ASSERT_TRUE(repeated) << repeated.error().describe();
      EXPECT_EQ(dump(), expected);
      expect_sound(false);
      expect_no_remains();
    });
  }

  // What goes on after a first misfortune meets a second one, at each of its own operations.
  void enumerate_pairs(Misfortune first, int stride, Misfortune second, int second_stride) {
    const int operations = undisturbed();
    const std::string expected = dump();
    for (int at = 1; at <= operations && !HasFailure(); at += stride) {
      clear();
      disaster.arm(first, at);
      in_a_process([&] { return carry_out(); });
      disaster.arm(Misfortune::none, 0);
      keep();
      const Acknowledged known = *told;
      ASSERT_EQ(in_a_process([&] { return carry_out(); }), 0);
      const int more = told->operations;
      for (int again = 1 + at % second_stride; again <= more && !HasFailure();
           again += second_stride) {
        SCOPED_TRACE(testing::Message() << "operation " << at << ", then " << again);
        bring_back();
        *told = known;
        disaster.arm(second, again);
        in_a_process([&] { return carry_out(); });
        disaster.arm(Misfortune::none, 0);
        expect_sound(first == Misfortune::drop || second == Misfortune::drop);

        const Result<void> repeated = carry_out();

        ASSERT_TRUE(repeated) << repeated.error().describe();
        EXPECT_EQ(dump(), expected);
        expect_no_remains();
      }
    }
  }

  // What the one who holds the store writes.
  std::string runs_and_attempts() {
    const std::string all = dump();
    return all.substr(0, all.find("# fits"));
  }

  // A database that cannot be read just now is as good as held.
  bool is_held() const {
    try {
      const Database database(Layout{folder}.database(), Access::read, 0);
      Statement leases = database.prepare("SELECT count(*) FROM leases");
      return leases.step() && leases.integer(0) > 0;
    } catch (const Failure&) {
      return true;
    }
  }

  // Each `stride`-th operation takes longer than a lease, and another host that does not see our
  // lock takes the store over meanwhile, where the database is not locked. One that held nothing
  // yet may write when the other has left.
  void enumerate_take_overs(int stride) {
    constexpr int kWroteMore = 9;
    const int operations = undisturbed();
    const std::string expected = dump();
    int taken_over = 0, refused = 0;
    for (int at = 1; at <= operations && !HasFailure(); at += stride) {
      SCOPED_TRACE("operation " + std::to_string(at));
      clear();
      std::string known;
      std::optional<Writer> other;
      disaster.while_stalled = [&] {
        clock.now += 61;
        std::filesystem::remove(Layout{folder}.lock());
        if (!real_files().exists(Layout{folder}.database())) return;
        const bool held = is_held();
        Result<Writer> writer =
            Writer::open(real_files(), clock, folder, {.take_over = true, .host = "elsewhere"});
        if (!writer) return;
        if (held) known = runs_and_attempts();
        told->taken_over = 1;
        if (at % 2 == 0) other.emplace(std::move(*writer));  // or it leaves at once
      };
      disaster.arm(Misfortune::stall, at);
      const int status = in_a_process([&] {
        Result<void> done = carry_out();
        if (!known.empty() && runs_and_attempts() != known) _exit(kWroteMore);
        return done;
      });
      disaster.arm(Misfortune::none, 0);
      EXPECT_THAT(status, AnyOf(0, 3));
      taken_over += told->taken_over;
      refused += told->taken_over == 1 && status == 3 ? 1 : 0;

      clock.now += 1000;
      takes_over = true;
      const Result<void> repeated = carry_out();
      takes_over = false;
      ASSERT_TRUE(repeated) << repeated.error().describe();
      EXPECT_EQ(dump(), expected);
    }
    EXPECT_GT(refused, 0);
    EXPECT_GT(2 * refused, taken_over);  // the others needed the store no more
  }
};

TEST_F(CrashOfCommands, ASampleOfOperationsLosesNothingAcknowledged) { enumerate(47); }

TEST_F(CrashOfCommands, WithoutSharedMemoryTheJournalIsAPlainOneAndThatIsSaid) {
  disaster.no_shared_memory = true;
  clear();
  {
    Writer writer = Writer::open(*files, clock, folder).value();
    EXPECT_THAT(writer.warnings(), testing::Contains(testing::HasSubstr("without shared memory")));
  }
  const Result<void> done = carry_out();
  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_FALSE(real_files().exists(Layout{folder}.database().string() + "-wal"));
}

TEST_F(CrashOfCommands, WithoutSharedMemoryNothingAcknowledgedIsLostEither) {
  disaster.no_shared_memory = true;
  enumerate(97);
}

TEST_F(CrashOfCommands, OfTheRecoveryFromACrashLosesNothingEither) {
  is_short = true;
  enumerate_pairs(Misfortune::kill, 41, Misfortune::kill, 43);
  enumerate_pairs(Misfortune::drop, 67, Misfortune::drop, 71);
}

TEST_F(CrashOfCommands, AWriterThatStalledUntilItsStoreWasTakenOverWritesNothingMore) {
  enumerate_take_overs(31);
}

TEST_F(CrashOfCommands, AReachedQuotaIsCalledSo) {
  is_short = true;
  undisturbed();
  disaster.arm(Misfortune::keeps_failing, 1, EDQUOT);

  StillClock later;
  const Result<Writer> writer = Writer::open(*files, later, folder);

  ASSERT_FALSE(writer);
  EXPECT_EQ(exit_code(writer.error().kind), 3);
  EXPECT_THAT(writer.error().describe(), testing::HasSubstr("quota exceeded"));
  EXPECT_THAT(writer.error().hint, testing::HasSubstr("free some space"));
}

// Every operation: slow.
class CrashWhole : public CrashOfCommands {};

TEST_F(CrashWhole, NoOperationLosesAnythingAcknowledged) { enumerate(1); }
TEST_F(CrashWhole, NoOperationLosesAnythingWithoutSharedMemory) {
  disaster.no_shared_memory = true;
  enumerate(1);
}
TEST_F(CrashWhole, NoSecondKillLosesAnything) {
  is_short = true;
  enumerate_pairs(Misfortune::kill, 3, Misfortune::kill, 2);
}
TEST_F(CrashWhole, NoSecondPowerLossLosesAnything) {
  enumerate_pairs(Misfortune::drop, 11, Misfortune::drop, 13);
  enumerate_pairs(Misfortune::torn, 17, Misfortune::kill, 19);
}
TEST_F(CrashWhole, NoStallLetsTwoHostsWrite) { enumerate_take_overs(3); }

}  // namespace
}  // namespace ration::store
