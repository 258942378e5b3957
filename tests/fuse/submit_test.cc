#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/unsynced_files.h"
#include "checkpoint/safetensors.h"
#include "fuse/folder.h"
#include "fuse/journal.h"
#include "fuse/world.h"

namespace ration::fuse {
namespace {

using test::Numbers;
using test::read_model;
using test::World;
using test::write_model;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class Submissions : public testing::Test {
 protected:
  Submissions() {
    list_ = {{{"id", "a"}}, {{"id", "guest"}, {"external", true}, {"tokens", 500}}};
    config_ = world_.config({{"contributor", list_}, {"quorum", 1}});
  }

  Path model(const std::string& name, double shift) {
    Numbers numbers = world_.start;
    for (std::size_t j = 0; j < numbers.size(); ++j) numbers[j] += j % 2 == 0 ? shift : -shift;
    write_model(world_.scratch / name, numbers);
    return world_.scratch / name;
  }
  Result<std::int64_t> send(const Path& file,
                            const std::string& from,
                            const std::string& who = "guest") {
    return submit(unsynced_files(),
                  world_.folder(),
                  {.contributor = who, .from = from, .model = file, .tokens = 0});
  }

  World world_;
  Json list_;
  Config config_;
};

TEST_F(Submissions, AreAwaitedTakenAndFused) {
  const Summary waiting = world_.carried_out(config_);
  EXPECT_THAT(waiting.waiting, HasSubstr("round 1 has 1 of 2 contributions"));
  EXPECT_THAT(waiting.waiting, HasSubstr("`ration fuse submit`"));

  ASSERT_EQ(send(model("g", 0.1), waiting.base.substr(0, 10)).value(), 1);
  const Summary next = world_.carried_out(config_);

  ASSERT_THAT(next.rounds, SizeIs(1));
  const Contribution& guest = next.rounds[0].contributions[1];
  EXPECT_EQ(guest.verdict, Verdict::accepted);
  EXPECT_EQ(guest.tokens, 500);
  EXPECT_EQ(read_model(guest.file), read_model(world_.scratch / "g"));
  EXPECT_THAT(next.waiting, HasSubstr("round 2"));
  EXPECT_THAT(world_.trained, ElementsAre("a 1", "a 2"));
}

TEST_F(Submissions, ThatWereChangedAfterTheyArrivedAreNotFused) {
  Json two = list_;
  two.push_back({{"id", "host"}, {"external", true}});
  const Config config = world_.config({{"contributor", two}, {"quorum", 1}});
  const Summary waiting = world_.carried_out(config);
  ASSERT_TRUE(send(model("g", 0.1), waiting.base));
  world_.carried_out(config);  // it has arrived
  ASSERT_TRUE(send(model("h", 0.2), waiting.base, "host"));
  const Path kept =
      contribution_file(world_.folder(), sha256_of(world_.files, model("g", 0.1)).value());
  ASSERT_TRUE(world_.files.exists(kept));
  ASSERT_TRUE(world_.files.write_whole(kept, world_.files.read(model("other", 0.7)).value()));

  const Result<Summary> next = world_.carry_out(config);

  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind, ErrorKind::input);
  EXPECT_THAT(next.error().describe(), HasSubstr("was changed: its SHA-256 is"));
}

TEST_F(Submissions, OfOneContributorTwiceCountOnceTheLast) {
  const std::string base = world_.carried_out(config_).base;
  ASSERT_TRUE(send(model("one", 0.1), base));
  ASSERT_EQ(send(model("two", 0.2), base).value(), 2);

  const RoundRecord round = world_.carried_out(config_).rounds.at(0);

  ASSERT_THAT(round.contributions, SizeIs(3));
  EXPECT_EQ(round.contributions[1].verdict, Verdict::superseded);
  EXPECT_EQ(round.contributions[2].verdict, Verdict::accepted);
  EXPECT_EQ(read_model(round.contributions[2].file), read_model(world_.scratch / "two"));
}

TEST_F(Submissions, FromAnOlderBaseAreLate) {
  const std::string base = world_.carried_out(config_).base;
  ASSERT_TRUE(send(model("one", 0.1), base));
  const Summary second = world_.carried_out(config_);
  ASSERT_TRUE(send(model("late", 0.2), base));
  ASSERT_TRUE(send(model("right", 0.3), second.base));

  const RoundRecord round = world_.carried_out(config_).rounds.at(1);

  EXPECT_EQ(round.contributions[1].verdict, Verdict::superseded);
  EXPECT_EQ(round.contributions[1].staleness, 1);
  EXPECT_EQ(round.contributions[2].verdict, Verdict::accepted);
}

TEST_F(Submissions, ThatCannotBeUsedAreRefusedAndNothingIsWritten) {
  const std::string base = world_.carried_out(config_).base;
  const auto before = world_.files_of("test");
  Numbers broken = world_.start;
  broken[3] = std::numeric_limits<double>::infinity();
  write_model(world_.scratch / "inf", broken);
  write_model(world_.scratch / "short", {1, 2});
  ASSERT_TRUE(unsynced_files().write_whole(world_.scratch / "torn", "\x10"));
  const auto refusal = [&](const Result<std::int64_t>& sent) {
    EXPECT_FALSE(sent);
    EXPECT_EQ(exit_code(sent.error().kind), 2);
    return sent.error().describe();
  };

  EXPECT_THAT(refusal(send(world_.scratch / "inf", base)),
              HasSubstr("tensor \"w\" of guest holds NaN or infinity at element 3"));
  EXPECT_THAT(refusal(send(world_.scratch / "short", base)),
              HasSubstr("shape [40] in the base, [2] in guest"));
  EXPECT_THAT(refusal(send(world_.scratch / "torn", base)), HasSubstr("torn"));
  EXPECT_THAT(refusal(send(model("good", 1), std::string(64, '0'))), HasSubstr("names no base"));
  EXPECT_THAT(refusal(send(model("good", 1), base.substr(0, 4))), HasSubstr("at least 8 digits"));
  EXPECT_THAT(refusal(send(model("good", 1), base, "a")), HasSubstr("no external contributor"));
  EXPECT_THAT(refusal(send(model("good", 1), base, "gest")), HasSubstr("did you mean \"guest\"?"));
  EXPECT_EQ(world_.files_of("test"), before);
}

TEST_F(Submissions, AreRefusedWhenAllRoundsAreDone) {
  const Config only = world_.config({{"rounds", 1}});
  const std::string base = world_.carried_out(only).base;
  EXPECT_FALSE(send(model("good", 1), base));
  const Config guest =
      world_.config({{"rounds", 1}, {"contributor", {{{"id", "guest"}, {"external", true}}}}});
  const std::string first = world_.carried_out(guest, "other").base;
  const Submission submission{
      .contributor = "guest", .from = first, .model = model("good", 1), .tokens = 0};
  ASSERT_TRUE(submit(unsynced_files(), world_.folder("other"), submission));
  world_.carried_out(guest, "other");
  EXPECT_THAT(submit(unsynced_files(), world_.folder("other"), submission).error().what,
              HasSubstr("1 round of"));
}

TEST_F(Submissions, MoveAnAsynchronousFusionEachByItself) {
  const Config config = world_.config(
      {{"mode", "async"},
       {"rounds", 1},
       {"eta", 0.5},
       {"gamma", 1},
       {"contributor", {{{"id", "x"}, {"external", true}}, {{"id", "y"}, {"external", true}}}}});
  const std::string base = world_.carried_out(config).base;
  ASSERT_TRUE(send(model("one", 0.1), base, "y"));
  EXPECT_THAT(world_.carried_out(config).waiting, HasSubstr("round 1 has 1 of 2"));
  ASSERT_TRUE(send(model("two", 0.2), base, "y"));

  const Summary summary = world_.carried_out(config);

  ASSERT_THAT(summary.rounds, SizeIs(1));
  EXPECT_NEAR(read_model(summary.base_file)[0], world_.start[0] + 0.15, 1e-6);
}

TEST(FusionJournal, GoesOnAfterATornLineAndRefusesADamagedOne) {
  test::TemporaryFolder folder;
  const Path file = folder / "journal.jsonl";
  Journal journal = Journal::open(unsynced_files(), file).value();
  ASSERT_EQ(journal.append({{"event", "begun"}}).value(), 1);
  ASSERT_EQ(journal.append({{"event", "opened"}}).value(), 2);
  const std::string whole = real_files().read(file).value();
  ASSERT_TRUE(unsynced_files().write_whole(file, whole.substr(0, whole.size() - 5)));

  Journal torn = Journal::open(unsynced_files(), file).value();
  ASSERT_THAT(torn.events(), SizeIs(1));
  ASSERT_EQ(torn.append({{"event", "opened"}}).value(), 2);
  EXPECT_EQ(real_files().read(file).value(), whole);

  std::string damaged = whole;
  damaged[10] = '#';
  ASSERT_TRUE(unsynced_files().write_whole(file, damaged));
  const Result<Journal> refused = Journal::open(unsynced_files(), file);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("journal.jsonl, line 1"));
}

}  // namespace
}  // namespace ration::fuse
