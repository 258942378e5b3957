#include "loop/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace ration::loop {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Decision decision(int round) {
  Decision decision{.round = round,
                    .why = "because of 0.1 + 0.2",
                    .made_from = std::string(32, 'a'),
                    .options = {{"until", "interval(epochs) < 25%"}, {"spend", nullptr}},
                    .done = 9,
                    .open = 51,
                    .spent_flops = 0.1 + 0.2,
                    .law = "data-constrained",
                    .trusted = true,
                    .outlook = fit::Outlook{0.02, 0.01}};
  decision.goal = {{.quantity = "epochs", .value = 4.0 / 3, .low = 1, .limit = 0.25}};
  decision.runs = {{.run = std::string(32, '1'), .params = 1e7, .gain = 1e-9 / 3}};
  return decision;
}

class JournalTest : public testing::Test {
 protected:
  Journal open() { return Journal::open(real_files(), folder_.path(), "first").value(); }
  std::string text() { return real_files().read(file_).value(); }
  void write(const std::string& text) { ASSERT_TRUE(real_files().write_whole(file_, text)); }

  test::TemporaryFolder folder_;
  Path file_ = folder_ / "loops" / "first.jsonl";
};

TEST_F(JournalTest, GivesBackWhatWasWrittenWithoutLoss) {
  Journal journal = open();
  ASSERT_TRUE(journal.append(decision(1)));
  ASSERT_TRUE(journal.append(decision(2)));

  const Journal again = open();

  ASSERT_THAT(again.decisions(), SizeIs(2));
  EXPECT_EQ(again.decisions()[0], decision(1));
  EXPECT_EQ(to_json(again.decisions()[1]), to_json(decision(2)));
  EXPECT_THAT(journals(real_files(), folder_.path()).value(), ElementsAre("first"));
}

TEST_F(JournalTest, DoesNotRepeatTheLastDecision) {
  Journal journal = open();
  ASSERT_TRUE(journal.append(decision(1)));
  const std::string once = text();
  ASSERT_TRUE(journal.append(decision(1)));
  EXPECT_EQ(text(), once);
  ASSERT_TRUE(open().append(decision(1)));
  EXPECT_EQ(text(), once);
}

TEST_F(JournalTest, IsEmptyWhereNothingWasWritten) {
  EXPECT_THAT(open().decisions(), IsEmpty());
  EXPECT_FALSE(real_files().exists(folder_ / "loops"));
  EXPECT_THAT(journals(real_files(), folder_.path()).value(), IsEmpty());
}

// Whatever is left of the last line by a kill, the decision is taken again and the file is as if
// nothing had happened.
TEST_F(JournalTest, TakesATornLastLineAsNotWritten) {
  Journal journal = open();
  ASSERT_TRUE(journal.append(decision(1)));
  const std::size_t first = text().size();
  ASSERT_TRUE(journal.append(decision(2)));
  const std::string whole = text();

  constexpr std::size_t kStride = 97;  // each length costs two syncs
  for (std::size_t length = first; length < whole.size(); length += kStride) {
    write(whole.substr(0, length));
    Journal torn = open();
    ASSERT_THAT(torn.decisions(), SizeIs(1)) << length;
    ASSERT_TRUE(torn.append(decision(2)));
    ASSERT_EQ(text(), whole) << length;
  }
}

TEST_F(JournalTest, TakesALastLineOfZerosAsNotWritten) {
  Journal journal = open();
  ASSERT_TRUE(journal.append(decision(1)));
  const std::string first = text();
  write(first + std::string(20, '\0') + "\n");

  Journal torn = open();

  ASSERT_THAT(torn.decisions(), SizeIs(1));
  ASSERT_TRUE(torn.append(decision(2)));
  EXPECT_EQ(open().decisions()[1], decision(2));
}

TEST_F(JournalTest, NamesADamagedLine) {
  Journal journal = open();
  ASSERT_TRUE(journal.append(decision(1)));
  ASSERT_TRUE(journal.append(decision(2)));
  std::string damaged = text();
  damaged[40] ^= 1;
  write(damaged);

  const Result<Journal> again = Journal::open(real_files(), folder_.path(), "first");

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::input);
  EXPECT_THAT(again.error().what, HasSubstr("first.jsonl, line 1"));
  EXPECT_THAT(again.error().hint, HasSubstr("move the file away"));
}

}  // namespace
}  // namespace ration::loop
