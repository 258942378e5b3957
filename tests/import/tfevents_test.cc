#include "import/tfevents.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>

#include "base/files.h"

namespace ration::import {
namespace {

using testing::HasSubstr;

// A writer of its own: bits of CRC-32C one by one, fields by hand.
std::uint32_t slow_masked_crc(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

std::string integer(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string field(int number, const std::string& bytes) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}

std::string scalar_event(std::int64_t step, const std::string& tag, float value) {
  const std::string bits = integer(std::bit_cast<std::uint32_t>(value), 4);
  const std::string summary = field(1, field(1, tag) + varint(2 << 3 | 5) + bits);
  return varint(1 << 3 | 1) + integer(std::bit_cast<std::uint64_t>(1.7e9), 8) + varint(2 << 3) +
         varint(static_cast<std::uint64_t>(step)) + field(5, summary);
}

std::string record(const std::string& message) {
  const std::string length = integer(message.size(), 8);
  return length + integer(slow_masked_crc(length), 4) + message +
         integer(slow_masked_crc(message), 4);
}

std::string three_records() {
  return record(varint(1 << 3 | 1) + integer(std::bit_cast<std::uint64_t>(1.7e9), 8) +
                field(3, "brain.Event:2")) +
         record(scalar_event(100, "val/loss", 3.1F)) + record(scalar_event(200, "val/loss", 2.9F));
}

std::string fixture(const std::string& run) {
  return real_files()
      .read(Path(RATION_FIXTURES) / "tensorboard" / run / "events.out.tfevents.1700000000.host")
      .value();
}

TEST(EventFiles, GiveTheirScalars) {
  const EventFile events = read_events(three_records(), "e").value();

  EXPECT_EQ(events.records, 3U);
  EXPECT_FALSE(events.torn());
  ASSERT_EQ(events.scalars.size(), 2U);
  EXPECT_EQ(events.scalars[1].tag, "val/loss");
  EXPECT_EQ(events.scalars[1].step, 200);
  EXPECT_EQ(events.scalars[1].wall_s, 1.7e9);
  EXPECT_EQ(events.scalars[0].value, 3.1) << "a float32 is read as the decimal that was logged";
}

TEST(EventFiles, OfTensorBoardXAreRead) {
  const EventFile events = read_events(fixture("lm1-2b8-55b-5b"), "e").value();

  ASSERT_EQ(events.scalars.size(), 6U);  // four of training, two of validation
  EXPECT_EQ(events.scalars[0].tag, "train/loss");
  EXPECT_EQ(events.scalars[0].value, 5.5);
  EXPECT_EQ(events.scalars.back().tag, "val/loss");
  EXPECT_EQ(events.scalars.back().value, 3.1);
  EXPECT_EQ(events.scalars.back().step, 400);
}

TEST(EventFiles, HoldScalarsAsTensorsOfEveryKind) {
  const EventFile events = read_events(fixture("lm1-146m-14b-7b"), "e").value();
  const auto last = [&](const std::string& tag) {
    double value = std::nan("");
    for (const Scalar& scalar : events.scalars)
      if (scalar.tag == tag) value = scalar.value;
    return value;
  };

  EXPECT_EQ(events.scalars.front().value, 3.75);  // in float_val
  EXPECT_EQ(last("val/loss"), 3.5);               // in tensor_content
  EXPECT_EQ(last("double"), 0.1);
  EXPECT_EQ(last("tokens"), 14e9);
  EXPECT_EQ(last("half"), -1.5);
  EXPECT_EQ(last("bf16"), 2.5);
  EXPECT_TRUE(std::isnan(last("note"))) << "a text is no scalar";
  EXPECT_TRUE(std::isnan(last("weights"))) << "a histogram is no scalar";
}

TEST(EventFiles, MayEndAnywhere) {
  for (const std::string& whole : {three_records(), fixture("lm1-146m-14b-7b")}) {
    std::size_t records = 0;
    for (std::size_t length = 0; length <= whole.size(); ++length) {
      const Result<EventFile> events = read_events(std::string_view(whole).substr(0, length), "e");

      ASSERT_TRUE(events) << length << events.error().describe();
      EXPECT_GE(events->records, records);
      records = events->records;
    }
    EXPECT_FALSE(read_events(whole, "e")->torn());
    EXPECT_EQ(read_events(std::string_view(whole).substr(0, whole.size() - 1), "e")->records + 1,
              records);
  }
}

TEST(EventFiles, WithAnyByteChangedAreRefusedOrEndEarly) {
  const std::string whole = three_records();
  const std::size_t first =
      record(varint(1 << 3 | 1) + integer(0, 8) + field(3, "brain.Event:2")).size();
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const int flip : {0x01, 0x80}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      const Result<EventFile> events = read_events(bytes, "run.tfevents");

      ASSERT_FALSE(events) << at;
      EXPECT_THAT(events.error().what, HasSubstr("wrong CRC"));
      EXPECT_EQ(events.error().what.find("at byte 0") != std::string::npos, at < first);
    }
}

TEST(EventFiles, WithSoundChecksumsAndNoEventInsideAreRefused) {
  const std::string sound = scalar_event(100, "val/loss", 3.1F);
  int refused = 0;
  for (std::size_t length = 1; length < sound.size(); ++length) {
    const Result<EventFile> events = read_events(record(sound.substr(0, length)), "e");
    if (events) continue;
    ++refused;
    EXPECT_THAT(events.error().what, HasSubstr("is no event at byte 0"));
  }
  EXPECT_GT(refused, static_cast<int>(sound.size()) - 5);  // all but cuts between two fields
  for (int byte = 0; byte < 256; ++byte)  // messages of garbage: any answer, no crash
    (void)read_events(record(std::string(40, static_cast<char>(byte))), "e").has_value();
}

}  // namespace
}  // namespace ration::import
