#include "run/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/hash.h"
#include "support/failing_files.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Event sample() {
  return {.seq = 12,
          .type = EventType::val,
          .t = 1.7e9 + 0.25,
          .step = 300,
          .tokens = 153600,
          .epoch = 1.0 / 3,
          .values = {{"loss", 4.605170185988091},
                     {"reason", "a \"quoted\"\nword"},
                     {"sources", {{"web", 10}, {"code", 2}}}}};
}

std::string_view without_newline(const std::string& line) {
  return std::string_view(line).substr(0, line.size() - 1);
}

// A line as any trainer may write it: a body of JSON without its last brace, then the check sum.
std::string sealed(const std::string& body) {
  char tail[32];
  std::snprintf(tail, sizeof tail, ",\"crc\":\"%08x\"}", crc32c(body));
  return body + tail;
}

TEST(EventLine, ReadsBackEverythingThatWasWritten) {
  const std::string line = encode(sample());
  ASSERT_EQ(line.find('\n'), line.size() - 1);

  const Result<Event> event = decode(without_newline(line));
  ASSERT_TRUE(event) << event.error().describe();
  EXPECT_EQ(event->seq, 12);
  EXPECT_EQ(event->type, EventType::val);
  EXPECT_EQ(event->t, 1.7e9 + 0.25);
  EXPECT_EQ(event->step, 300);
  EXPECT_EQ(event->tokens, 153600);
  EXPECT_EQ(event->epoch, 1.0 / 3);
  EXPECT_EQ(event->values, sample().values);
}

TEST(EventLine, IsPlainJsonThatEndsInACheckSumOfWhatStandsBefore) {
  const std::string line = encode({.seq = 0, .type = EventType::start, .t = 2});
  const std::string body = R"({"seq":0,"type":"start","t":2.000000,"step":0,"tokens":0,"epoch":0)";
  EXPECT_EQ(line, sealed(body) + "\n");
}

TEST(EventLine, KnowsEveryTypeByItsName) {
  for (const char* type : {"start",
                           "train",
                           "val",
                           "epoch",
                           "checkpoint",
                           "skip",
                           "spike",
                           "resume",
                           "stop",
                           "done"}) {
    const std::string body =
        std::string(R"({"seq":0,"type":")") + type + R"(","t":0,"step":0,"tokens":0,"epoch":0)";
    const Result<Event> event = decode(sealed(body));
    ASSERT_TRUE(event) << type;
    EXPECT_EQ(name(event->type), type);
  }
}

TEST(EventLine, CarriesNumbersThatJsonCannotHoldAsWords) {
  Event event = sample();
  event.values = {{"loss", std::nan("")}, {"grad_norm", kInfinity}, {"z", {-kInfinity, 1.5}}};
  const std::string line = encode(event);
  EXPECT_THAT(line, HasSubstr("\"loss\":\"nan\""));
  EXPECT_THAT(line, HasSubstr("\"z\":[\"-inf\",1.5]"));

  const Result<Event> back = decode(without_newline(line));
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_TRUE(std::isnan(number(back->values, "loss")));
  EXPECT_EQ(number(back->values, "grad_norm"), kInfinity);
}

TEST(EventLine, GivesNanForANumberThatIsAbsentOrNone) {
  const Json values = {{"word", "fast"}, {"low", "-inf"}, {"two", 2}};
  EXPECT_TRUE(std::isnan(number(values, "absent")));
  EXPECT_TRUE(std::isnan(number(values, "word")));
  EXPECT_EQ(number(values, "low"), -kInfinity);
  EXPECT_EQ(number(values, "two"), 2);
}

TEST(EventLine, MayHoldBytesThatAreNoText) {
  Event event = sample();
  event.values = {{"reason", "bad \xff\xfe bytes"}};
  const std::string line = encode(event);

  const Result<Event> back = decode(without_newline(line));
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_THAT(back->values["reason"].get<std::string>(), HasSubstr("bytes"));
}

// A CRC of 32 bits finds every single flipped bit.
TEST(EventLine, IsRefusedWithAnyOneBitFlipped) {
  const std::string good = encode(sample());
  for (std::size_t bit = 0; bit < 8 * (good.size() - 1); ++bit) {
    std::string line = good.substr(0, good.size() - 1);
    line[bit / 8] = static_cast<char>(line[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode(line)) << "bit " << bit;
  }
}

TEST(EventLine, IsRefusedWhenCutOffAnywhere) {
  const std::string good = encode(sample());
  for (std::size_t length = 0; length + 1 < good.size(); ++length)
    EXPECT_FALSE(decode(std::string_view(good).substr(0, length))) << length;
}

TEST(EventLine, IsRefusedWithoutItsMembersEvenWhenTheCheckSumFits) {
  for (const char* body : {
           R"({"type":"val","t":0,"step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"t":0,"step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":"val","step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":"val","t":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":"val","t":0,"step":0,"epoch":0)",
           R"({"seq":0,"type":"val","t":0,"step":0,"tokens":0)",
           R"({"seq":0.5,"type":"val","t":0,"step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":"nap","t":0,"step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":7,"t":0,"step":0,"tokens":0,"epoch":0)",
           R"({"seq":0,"type":"val","t":"now","step":0,"tokens":0,"epoch":0)",
           R"([{"seq":0)",
           R"({"seq":)",
       }) {
    const Result<Event> event = decode(sealed(body));
    ASSERT_FALSE(event) << body;
    EXPECT_EQ(event.error().kind, ErrorKind::input) << body;
  }
}

TEST(EventLine, BeyondOneMebibyteIsRefused) {
  Event event = sample();
  event.values = {{"reason", std::string(1U << 20, 'x')}};
  const std::string line = encode(event);

  const Result<Event> back = decode(without_newline(line));
  ASSERT_FALSE(back);
  EXPECT_THAT(back.error().what, HasSubstr("1 MiB"));
}

class EventLogTest : public testing::Test {
 protected:
  std::string line(std::int64_t seq) {
    return encode({.seq = seq, .type = EventType::train, .step = seq});
  }
  void write(const std::string& bytes) { ASSERT_TRUE(real_files().write_whole(log_, bytes)); }
  EventBatch read(std::uint64_t offset = 0, std::int64_t next_seq = 0) {
    return read_events(real_files(), log_, offset, next_seq).value();
  }
  static std::vector<std::int64_t> numbers(const EventBatch& batch) {
    std::vector<std::int64_t> seqs;
    for (const Event& event : batch.events) seqs.push_back(event.seq);
    return seqs;
  }

  test::TemporaryFolder folder_;
  Path log_ = folder_ / "events.jsonl";
};

TEST_F(EventLogTest, IsEmptyWhileThereIsNoFile) {
  const EventBatch batch = read(0, 0);
  EXPECT_THAT(batch.events, IsEmpty());
  EXPECT_EQ(batch.next_offset, 0U);
  EXPECT_EQ(batch.next_seq, 0);
  EXPECT_EQ(batch.damaged, 0);
}

TEST_F(EventLogTest, NumbersItsLinesAsTheyAreWritten) {
  EventWriter writer(real_files().open_append(log_).value(), 0);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(writer.write({.seq = 99, .type = EventType::train}, i == 0));

  const EventBatch batch = read();
  EXPECT_THAT(numbers(batch), ElementsAre(0, 1, 2));
  EXPECT_EQ(batch.next_seq, 3);
  EXPECT_EQ(batch.next_offset, real_files().size(log_).value());
}

TEST_F(EventLogTest, GoesOnWhereTheLastReaderStopped) {
  write(line(0) + line(1));
  const EventBatch first = read();
  write(line(0) + line(1) + line(2));

  const EventBatch second = read(first.next_offset, first.next_seq);
  EXPECT_THAT(numbers(second), ElementsAre(2));
  EXPECT_EQ(second.damaged, 0);
}

TEST_F(EventLogTest, LeavesATornLastLineUntilItIsWhole) {
  const std::string last = line(1);
  for (std::size_t length = 0; length < last.size(); ++length) {
    write(line(0) + last.substr(0, length));
    const EventBatch batch = read();
    EXPECT_THAT(numbers(batch), ElementsAre(0)) << length;
    EXPECT_EQ(batch.next_offset, line(0).size()) << length;
    EXPECT_EQ(batch.damaged, 0) << length;
  }
  write(line(0) + last);
  EXPECT_THAT(numbers(read(line(0).size(), 1)), ElementsAre(1));
}

TEST_F(EventLogTest, SkipsADamagedLineAndCountsItOnce) {
  std::string middle = line(1);
  middle[10] = static_cast<char>(middle[10] ^ 1);
  write(line(0) + middle + line(2));

  const EventBatch batch = read();
  EXPECT_THAT(numbers(batch), ElementsAre(0, 2));
  EXPECT_EQ(batch.damaged, 1);
  EXPECT_EQ(batch.next_seq, 3);
}

TEST_F(EventLogTest, CountsADamagedLastLine) {
  write(line(0) + "{\"seq\":1}\n");
  const EventBatch batch = read();
  EXPECT_THAT(numbers(batch), ElementsAre(0));
  EXPECT_EQ(batch.damaged, 1);
  EXPECT_EQ(batch.next_offset, line(0).size() + 10);
}

TEST_F(EventLogTest, CountsLinesThatAreGone) {
  write(line(0) + line(4));
  const EventBatch batch = read();
  EXPECT_THAT(numbers(batch), ElementsAre(0, 4));
  EXPECT_EQ(batch.damaged, 3);
  EXPECT_EQ(batch.next_seq, 5);
}

TEST_F(EventLogTest, TakesNoLineTwice) {
  write(line(0) + line(1) + line(1) + line(0) + line(2));
  const EventBatch batch = read();
  EXPECT_THAT(numbers(batch), ElementsAre(0, 1, 2));
  EXPECT_EQ(batch.damaged, 2);
}

// What a file system leaves behind a crash: blocks that were never filled.
TEST_F(EventLogTest, SurvivesABlockOfZeros) {
  const std::string zeros(4096, '\0');
  write(line(0) + zeros);
  EXPECT_THAT(numbers(read()), ElementsAre(0));
  EXPECT_EQ(read().next_offset, line(0).size());

  write(line(0) + zeros + line(1) + line(2));
  EXPECT_THAT(numbers(read()), ElementsAre(0, 2));
  EXPECT_EQ(read().damaged, 1);
}

TEST_F(EventLogTest, ReadsBoundedPiecesOfALongLog) {
  std::string bytes;
  for (int seq = 0; seq < 1000; ++seq) bytes += line(seq);
  write(bytes);

  EventBatch batch;
  std::int64_t count = 0;
  constexpr std::uint64_t kLimit = 1000;
  while (true) {
    batch = read_events(real_files(), log_, batch.next_offset, batch.next_seq, kLimit).value();
    ASSERT_LE(batch.events.size(), kLimit / line(0).size() + 1);
    ASSERT_EQ(batch.damaged, 0);
    if (batch.events.empty()) break;
    count += static_cast<std::int64_t>(batch.events.size());
  }
  EXPECT_EQ(count, 1000);
  EXPECT_EQ(batch.next_offset, bytes.size());
}

TEST_F(EventLogTest, GetsPastALineWithoutAnEnd) {
  write(line(0) + std::string(10'000, 'x') + "\n" + line(1));

  constexpr std::uint64_t kLimit = 1000;
  EventBatch batch;
  std::vector<std::int64_t> seqs;
  std::int64_t damaged = 0;
  std::uint64_t before = 1;
  while (before != batch.next_offset) {
    before = batch.next_offset;
    batch = read_events(real_files(), log_, batch.next_offset, batch.next_seq, kLimit).value();
    for (const Event& event : batch.events) seqs.push_back(event.seq);
    damaged += batch.damaged;
  }
  EXPECT_THAT(seqs, ElementsAre(0, 1));
  EXPECT_GT(damaged, 0);
}

TEST_F(EventLogTest, SaysThatTheDiskIsFullAndKeepsWhatIsWhole) {
  test::FailingFiles files(real_files(), test::FailingFiles::Mode::disk_full, 3);
  EventWriter writer(files.open_append(log_).value(), 0);
  ASSERT_TRUE(writer.write({.type = EventType::start}, false));
  ASSERT_TRUE(writer.write({.type = EventType::train}, false));

  const Result<void> full = writer.write({.type = EventType::train}, false);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::resource);
  EXPECT_THAT(numbers(read()), ElementsAre(0, 1));
}

}  // namespace
}  // namespace ration::run
