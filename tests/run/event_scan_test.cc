#include "run/event_scan.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "base/crc_line.h"

namespace ration::run {
namespace {

template <class AnyEvent>
std::string in_words(const AnyEvent& event, const std::map<std::string, std::string>& members) {
  std::string text = fmt::format("{} {} {} {} {} {}",
                                 name(event.type),
                                 event.seq,
                                 event.t,
                                 event.step,
                                 event.tokens,
                                 event.epoch);
  for (const auto& [key, value] : members) text += fmt::format(" {}={}", key, value);
  return text;
}

// What decode() says of a line, in the scanner's words; the scanner must agree.
std::string by_decode(std::string_view line) {
  const Result<Event> event = decode(line);
  if (!event) return "damaged";
  std::map<std::string, std::string> members;
  for (const auto& [key, value] : event->values.items()) {
    const bool named = value == "nan" || value == "inf" || value == "-inf";
    if (value.is_number() || named)
      members[key] = fmt::format("{}", number(event->values, key));
    else if (value.is_string())
      members[key] = "\"" + value.get<std::string>();
  }
  return in_words(*event, members);
}

std::string by_scan(std::string_view line) {
  EventScanner scanner;
  const EventView* event = scanner.scan(line);
  if (event == nullptr) return "damaged";
  std::map<std::string, std::string> members;
  for (const auto& [key, value] : event->numbers)
    members[std::string(key)] = fmt::format("{}", value);
  for (const auto& [key, value] : event->texts)
    members[std::string(key)] = "\"" + std::string(value);
  return in_words(*event, members);
}

const std::string kHead =
    R"({"seq":3,"type":"train","t":1700000000.25,"step":7,"tokens":448,"epoch":0.875)";

class EventScan : public testing::TestWithParam<const char*> {};

TEST_P(EventScan, SaysWhatDecodingSays) {
  const std::string line = with_crc(kHead + GetParam() + "}");

  EXPECT_EQ(by_scan(line), by_decode(line));
}

INSTANTIATE_TEST_SUITE_P(Members,
                         EventScan,
                         testing::Values(R"(,"loss":2.5,"lr":1e-3,"clip":1)",
                                         R"(,"loss":"nan","a":"inf","b":"-inf")",
                                         R"(, "loss": 2.5, "note": "with blanks")",
                                         R"(,"path":"checkpoint-7")",
                                         R"(,"text":"an \"escape\" and Ünicode")",
                                         R"(,"loss":1,"loss":2)",
                                         R"(,"step":9)",
                                         R"(,"type":"val")",
                                         R"(,"tree":{"a":[1,2]},"on":true,"none":null)",
                                         R"(,"big":123456789012345678901234567890)",
                                         R"(,"huge":1e400)",
                                         R"(,"tiny":1e-400)",
                                         R"(,"bad":01)",
                                         R"(,"bad":1.)",
                                         R"(,"bad":.5)",
                                         R"(,"bad":+1)",
                                         R"(,"bad":nan)",
                                         R"(,"minus":-0,"minus2":-0.0,"e":1E+5)",
                                         ",\"tab\":\"a\tb\"",
                                         R"(,)",
                                         R"(,"":1)"));

TEST(EventScanner, RefusesMembersOfAnotherKindLikeDecoding) {
  for (const char* body :
       {R"({"seq":"3","type":"train","t":1,"step":7,"tokens":4,"epoch":0})",
        R"({"seq":3.5,"type":"train","t":1,"step":7,"tokens":4,"epoch":0})",
        R"({"seq":3,"type":"waltz","t":1,"step":7,"tokens":4,"epoch":0})",
        R"({"seq":3,"type":"train","t":"now","step":7,"tokens":4,"epoch":0})",
        R"({"seq":3,"type":"train","t":1,"step":7,"tokens":4})",
        R"({"seq":3,"type":"train","t":1,"step":99999999999999999999,"tokens":4,"epoch":0})"}) {
    const std::string line = with_crc(body);
    EXPECT_EQ(by_scan(line), by_decode(line)) << line;
    EXPECT_EQ(by_scan(line), "damaged") << line;
  }
}

TEST(EventScanner, SaysWhatDecodingSaysOfGarbledLines) {
  std::mt19937 random(7);  // any will do, the same each time
  const std::string body = kHead + R"(,"loss":2.5,"lr":1e-3,"why":"text")";
  const std::string bytes = "{}[]\",:.0123456789eE+-naif \\\x01\xC3";
  for (int i = 0; i < 20'000; ++i) {
    std::string garbled = body;
    for (int changes = 1 + i % 3; changes > 0; --changes)
      garbled[random() % garbled.size()] = bytes[random() % bytes.size()];
    const std::string line = with_crc(garbled + "}");
    ASSERT_EQ(by_scan(line), by_decode(line)) << line;
  }
}

TEST(EventScanner, RefusesALineThatWasChanged) {
  std::string line = with_crc(kHead + "}");
  EXPECT_NE(by_scan(line), "damaged");
  line[8] ^= 1;
  EXPECT_EQ(by_scan(line), "damaged");
}

}  // namespace
}  // namespace ration::run
