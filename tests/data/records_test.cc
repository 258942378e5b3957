#include "data/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "data/gzip_builder.h"
#include "data/quick_json_line.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::ElementsAre;
using Kind = RecordRule::Kind;

class Records : public testing::Test {
 protected:
  // "number:text" of every record, "number:too large" for those that were passed over.
  std::vector<std::string> records(const std::string& bytes,
                                   const RecordRule& rule,
                                   std::size_t limit = 1 << 20) {
    test::write_text(folder_.path(), "file", bytes);
    BlockReader reader(real_files(), folder_ / "file", rule, limit);
    std::vector<std::string> found;
    while (true) {
      Result<std::optional<Block>> block = reader.next();
      EXPECT_TRUE(block) << block.error().describe();
      if (!block || !block->has_value()) return found;
      largest_ = std::max(largest_, (*block)->bytes.size());
      for (const RecordSpan& span : (*block)->records)
        found.push_back(
            std::to_string(span.number) + ":" +
            (span.too_large ? "too large" : (*block)->bytes.substr(span.at, span.size)));
    }
  }

  test::TemporaryFolder folder_;
  std::size_t largest_ = 0;  // block
};

TEST_F(Records, AreLinesWithTheirNumbers) {
  EXPECT_THAT(records("one\n\n  \ntwo\r\nthree", {.kind = Kind::lines}),
              ElementsAre("1:one", "4:two", "5:three"));
}

TEST_F(Records, AreParagraphsBetweenLinesWithoutText) {
  EXPECT_THAT(records("\n\none\nmore\n \t\ntwo\n\n\n\nthree\n", {.kind = Kind::blank_lines}),
              ElementsAre("1:one\nmore", "2:two", "3:three"));
}

TEST_F(Records, AreWhatStandsBetweenSeparators) {
  EXPECT_THAT(
      records("one<|>two\n\nlines<|><|>three", {.kind = Kind::separator, .separator = "<|>"}),
      ElementsAre("1:one", "2:two\n\nlines", "3:three"));
}

TEST_F(Records, AreTheSameWhereverBlocksEnd) {
  std::string bytes;
  std::vector<std::string> expected;
  for (int i = 1; i <= 300'000; ++i) {
    const std::string text = std::string(static_cast<std::size_t>(i % 37), 'x') + std::to_string(i);
    bytes += text + "<|>";
    expected.push_back(std::to_string(i) + ":" + text);
  }

  const RecordRule rule{.kind = Kind::separator, .separator = "<|>"};
  EXPECT_EQ(records(bytes, rule), expected);
  EXPECT_EQ(records(test::gzip(bytes), rule), expected);
}

TEST_F(Records, ArePassedOverWithoutHoldingThemWhenTheyAreTooLarge) {
  const std::string large(20'000'000, 'y');

  EXPECT_THAT(records("one\n" + large + "\ntwo\n", {.kind = Kind::lines}, 100'000),
              ElementsAre("1:one", "2:too large", "3:two"));
  EXPECT_THAT(records("one\n" + large, {.kind = Kind::lines}, 100'000),
              ElementsAre("1:one", "2:too large"));
  EXPECT_LT(largest_, 3'000'000U);
}

TEST_F(Records, OfADamagedFileAreAnErrorThatSaysSo) {
  const std::string packed = test::gzip(std::string(1000, 'a') + "\nb\n");
  test::write_text(folder_.path(), "file", packed.substr(0, packed.size() - 3));
  BlockReader reader(real_files(), folder_ / "file", {.kind = Kind::lines}, 1 << 20);

  Result<std::optional<Block>> block = reader.next();

  ASSERT_FALSE(block);
  EXPECT_TRUE(reader.damaged());
}

TEST(SplitRule, IsAWordOrASeparatorWithEscapes) {
  EXPECT_EQ(parse_split("lines")->kind, Kind::lines);
  EXPECT_EQ(parse_split("blank-lines")->kind, Kind::blank_lines);
  EXPECT_EQ(parse_split("\\n\\t\\\\--")->separator, "\n\t\\--");
  for (const char* wrong : {"", "a\\", "\\x"}) EXPECT_FALSE(parse_split(wrong)) << wrong;
}

std::string text_of(std::string_view line, const JsonFields& fields = {}) {
  auto read = read_json_line(line, fields);
  if (const auto* problem = std::get_if<JsonLineProblem>(&read))
    return *problem == JsonLineProblem::invalid ? "invalid" : "no text";
  const JsonText& found = std::get<JsonText>(read);
  return found.id.empty() ? found.text : found.id + "=" + found.text;
}

TEST(JsonLine, GivesTheMembersAskedForAtTheFirstLevel) {
  EXPECT_EQ(text_of(R"( {"a":{"text":"inner"},"text":"a\u00fc\n","b":[{"text":1}]} )"),
            "a\u00fc\n");
  EXPECT_EQ(text_of(R"({"body":"b","url":"u"})", {.text = "body", .id = "url"}), "u=b");
  EXPECT_EQ(text_of(R"({"n":17,"text":"t"})", {.id = "n"}), "17=t");
}

// What a tree of the JSON library holds, in the words of text_of.
std::string in_the_tree(const std::string& line, const JsonFields& fields) {
  const Json tree = Json::parse(line, nullptr, false);
  if (!tree.is_object()) return "invalid";
  const auto text = tree.find(fields.text);
  if (text == tree.end() || !text->is_string()) return "no text";
  const auto id = tree.find(fields.id);
  const bool named = id != tree.end() && (id->is_string() || id->is_number_integer());
  const std::string name = !named ? "" : id->is_string() ? id->get<std::string>() : id->dump();
  return name.empty() ? text->get<std::string>() : name + "=" + text->get<std::string>();
}

// Lines are read a quick way where it sees that they are JSON. Every byte of these is replaced,
// left out and doubled.
TEST(JsonLine, IsReadTheQuickWayAsTheJsonLibraryDoes) {
  const JsonFields fields{.id = "id"};
  int quick = 0;
  for (const std::string line :
       {R"({"text":"a \"word\"\n\u00fc\ud83d\ude00\\","id":"x","n":[1,-2.5,true,null,{"text":3}]})",
        R"( { "id" : -17 , "text" : "\/\b\f\r\t" , "e" : {} , "l" : [ ] } )",
        "{\"text\":\"Caf\xc3\xa9\",\"id\":0,\"f\":1e3,\"g\":0.25}"}) {
    EXPECT_TRUE(line.find("1e3") != std::string::npos || quick_json_line(line, fields)) << line;
    EXPECT_EQ(text_of(line, fields), in_the_tree(line, fields));
    for (std::size_t at = 0; at < line.size(); ++at)
      for (const std::string put :
           {"", "\"", "\\", "0", "u", "{", "]", ",", " ", "\x01", "\xe9", "-"})
        for (const std::size_t taken : {0U, 1U}) {
          const std::string changed = line.substr(0, at) + put + line.substr(at + taken);
          EXPECT_EQ(text_of(changed, fields), in_the_tree(changed, fields)) << changed;
          quick += quick_json_line(changed, fields).has_value();
        }
  }
  EXPECT_GT(quick, 500) << "most changed words are JSON still";
}

TEST(JsonLine, TellsWhatIsNoObjectFromWhatHasNoText) {
  for (const char* line : {"",
                           "text",
                           "[1]",
                           "\"text\"",
                           "{\"text\":\"a\"",
                           "{\"text\":\"a\"} {}",
                           R"({"text":"\ud800"})"})
    EXPECT_EQ(text_of(line), "invalid") << line;
  for (const char* line : {"{}",
                           R"({"text":1})",
                           R"({"text":null})",
                           R"({"text":["a"]})",
                           R"({"other":{"text":"a"}})"})
    EXPECT_EQ(text_of(line), "no text") << line;
}

}  // namespace
}  // namespace ration::data
