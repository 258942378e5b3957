#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
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
  Result<Submitted> send(const Path& file,
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

  ASSERT_EQ(send(model("g", 0.1), waiting.base.substr(0, 10))->number, 1);
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
  ASSERT_EQ(send(model("two", 0.2), base)->number, 2);

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
  const auto refusal = [&](const Result<Submitted>& sent) {
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
              HasSubstr("other has ended: 1 round of it is done"));
}

TEST_F(Submissions, AreRefusedWhenTheFusionWasAborted) {
  const Config config = world_.config(
      {{"contributor", list_}, {"deadline_s", 60}, {"quorum", 1}, {"on_stall", "abort"}});
  ASSERT_FALSE(world_.carry_out(config)) << "nobody came";
  const auto before = world_.files_of("test");
  const std::string base = sha256_of(world_.files, world_.scratch / "base.safetensors").value();

  const Result<Submitted> sent = send(model("g", 0.1), base);

  ASSERT_FALSE(sent);
  EXPECT_EQ(exit_code(sent.error().kind), 2);
  EXPECT_THAT(sent.error().describe(), HasSubstr("was aborted"));
  EXPECT_THAT(sent.error().hint, HasSubstr("under another name"));
  EXPECT_EQ(world_.files_of("test"), before);
}

TEST_F(Submissions, MayNameTheirBaseInCapitals) {
  std::string base = world_.carried_out(config_).base.substr(0, 16);
  const std::string small = base;
  for (char& c : base) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  ASSERT_NE(base, small) << "16 digits without a letter";

  const Result<Submitted> sent = send(model("g", 0.1), base);

  ASSERT_TRUE(sent) << sent.error().describe();
  EXPECT_EQ(sent->from.substr(0, 16), small);
  EXPECT_THAT(world_.carried_out(config_).rounds, SizeIs(1)) << "it is in";
}

// One base and the next; what is said of a model from the first.
Submitted late_submission(World& world, Json table, const Path& one, const Path& late) {
  table["contributor"] = {{{"id", "guest"}, {"external", true}}};
  table["rounds"] = 5;
  const Config config = world.config(table);
  const std::string base = world.carried_out(config).base;
  const Submission first{.contributor = "guest", .from = base, .model = one};
  Result<Submitted> sent = submit(unsynced_files(), world.folder(), first);
  EXPECT_TRUE(sent) << sent.error().describe();
  EXPECT_EQ(sent->staleness, 0);
  EXPECT_EQ(sent->note, "");
  EXPECT_NE(world.carried_out(config).base, base);
  Result<Submitted> second = submit(
      unsynced_files(), world.folder(), {.contributor = "guest", .from = base, .model = late});
  EXPECT_TRUE(second) << second.error().describe();
  world.carried_out(config);
  return *second;
}

TEST_F(Submissions, FromAnOlderBaseAreToldWhatBecomesOfThem) {
  const std::vector<std::pair<Json, std::string>> fates = {
      {{{"late", "drop"}}, "it will not be fused"},
      {{{"late", "log"}}, "it will be measured and not fused"},
      {{{"late", "next"}, {"gamma", 0.25}}, "multiplied by 0.25"},
      {{{"late", "next"}, {"gamma", 0}}, "gamma = 0: it will be rejected"},
      {{{"late", "next"}, {"op", "median"}}, "it will count like the others"},
      {{{"late", "next"}, {"staleness_max", 0}}, "staleness_max = 0: it will be rejected"},
      {{{"mode", "async"}, {"gamma", 0.5}}, "multiplied by 0.5"}};
  for (const auto& [table, fate] : fates) {
    SCOPED_TRACE(table.dump());
    World world;
    const Submitted late = late_submission(world, table, model("one", 0.1), model("late", 0.2));
    EXPECT_EQ(late.staleness, 1);
    EXPECT_THAT(late.note, HasSubstr(fate));
    EXPECT_THAT(late.note,
                HasSubstr(table.contains("mode") ? "is 1 version old" : "is 1 round old"));
  }
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
