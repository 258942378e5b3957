#include "git/pkt_line.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "git/streams_in_memory.h"

namespace ration::git {
namespace {

using Kind = PacketReader::Kind;
using namespace std::string_literals;

// All payloads until the end; "<flush>" for flush packets, "<error>" behind which nothing comes.
std::vector<std::string> read_all(const std::string& bytes, std::size_t piece = 1 << 20) {
  PacketReader reader(test::reading(bytes, piece));
  std::vector<std::string> packets;
  for (;;) {
    const Result<PacketReader::Packet> packet = reader.next();
    if (!packet) {
      EXPECT_EQ(packet.error().kind, ErrorKind::input);
      packets.push_back("<error>");
      return packets;
    }
    if (packet->kind == Kind::end) return packets;
    packets.push_back(packet->kind == Kind::flush ? "<flush>" : std::string(packet->payload));
  }
}

TEST(PacketReader, ReadsTheExamplesOfGitsDocumentation) {
  // gitprotocol-common(5), "pkt-line Format".
  EXPECT_THAT(read_all("0006a\n0005a000bfoobar\n0004"),
              testing::ElementsAre("a\n", "a", "foobar\n", ""));
  EXPECT_THAT(read_all("0000"), testing::ElementsAre("<flush>"));
  EXPECT_THAT(read_all(""), testing::IsEmpty());
}

TEST(PacketReader, TakesTheLongestPacketAndNoLongerOne) {
  const std::string longest(kLongestPayload, 'x');

  EXPECT_THAT(read_all("fff0" + longest), testing::ElementsAre(longest));
  EXPECT_THAT(read_all("fff1" + longest + "y"), testing::ElementsAre("<error>"));
  EXPECT_THAT(read_all("ffff" + longest + "yyyyyyyyyyyyyyyyy"), testing::ElementsAre("<error>"));
}

TEST(PacketReader, RefusesWhatIsNoLength) {
  for (const char* bytes : {"0001", "0002", "0003", "00g0", " 004", "-001", "0x04", "\0\0\0\0"})
    EXPECT_THAT(read_all(std::string(bytes, 4)), testing::ElementsAre("<error>")) << bytes;
}

TEST(PacketReader, RefusesAnEndWithinAPacket) {
  const std::string whole = "0006a\n";
  for (std::size_t length = 1; length < whole.size(); ++length)
    EXPECT_THAT(read_all(whole.substr(0, length)), testing::ElementsAre("<error>")) << length;
  EXPECT_THAT(read_all(whole + "00"), testing::ElementsAre("a\n", "<error>"));
}

TEST(PacketReader, DoesNotCareInWhichPiecesItReads) {
  std::string bytes;
  std::vector<std::string> payloads;
  for (const std::size_t size : {1, 0, 65516, 300, 65516, 65516, 65516, 65516, 2}) {
    payloads.emplace_back(size, static_cast<char>('a' + payloads.size()));
    bytes += fmt::format("{:04x}{}", size + 4, payloads.back());
  }
  for (const std::size_t piece : {1U, 3U, 4096U, 65520U, 1U << 20U})
    EXPECT_EQ(read_all(bytes, piece), payloads) << piece;
}

TEST(PacketWriter, WritesWhatTheReaderReads) {
  std::string bytes;
  PacketWriter writer(test::writing(bytes));
  const std::string content(3 * kLongestPayload + 5, 'z');

  ASSERT_TRUE(writer.line("status=success"));
  writer.flush();
  ASSERT_TRUE(writer.bytes(content));
  ASSERT_TRUE(writer.bytes(""));
  writer.flush();
  ASSERT_TRUE(writer.send());

  const std::string longest(kLongestPayload, 'z');
  EXPECT_THAT(read_all(bytes),
              testing::ElementsAre(
                  "status=success\n", "<flush>", longest, longest, longest, "zzzzz", "<flush>"));
}

TEST(PacketReader, EndsAfterAnyBytes) {
  // Every packet takes four bytes at least: more answers than that would be a loop.
  Stream random(1, StreamId::faults);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random.below(40), '0');
    for (char& c : bytes)
      if (random.below(3) == 0) c = static_cast<char>(random.below(256));

    EXPECT_LE(read_all(bytes).size(), bytes.size() / 4 + 1);
  }
}

}  // namespace
}  // namespace ration::git
