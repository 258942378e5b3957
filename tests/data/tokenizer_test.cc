#include "data/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

using testing::HasSubstr;

LineSource lines_of(std::string text) {
  return [text = std::move(text), at = std::size_t{0}]() mutable -> std::optional<std::string> {
    if (at >= text.size()) return std::nullopt;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    return line;
  };
}

std::string learn(const std::string& name) {
  Result<std::string> model =
      train_sentencepiece(*parse_tokenizer(name), lines_of(test::invented_text(1, 60'000)));
  EXPECT_TRUE(model) << model.error().describe();
  return model.value_or("");
}

// What SentencePiece itself makes of the ids.
std::string decoded(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& ids) {
  sentencepiece::SentencePieceProcessor processor;
  const std::string model(tokenizer.model());
  EXPECT_TRUE(processor.LoadFromSerializedProto(model).ok());
  std::string text;
  EXPECT_TRUE(processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text).ok());
  return text;
}

TEST(TokenizerChoice, IsReadFromItsName) {
  EXPECT_EQ(parse_tokenizer("bytes")->name(), "bytes");
  EXPECT_EQ(parse_tokenizer("bpe:4096")->name(), "bpe:4096");
  EXPECT_EQ(parse_tokenizer("unigram:8000")->vocab, 8000);
  EXPECT_EQ(parse_tokenizer("model:a/b:c.model")->model, Path("a/b:c.model"));
}

TEST(TokenizerChoice, RefusesWhatItDoesNotKnow) {
  for (const char* name : {"",
                           "byte",
                           "bpe",
                           "bpe:",
                           "bpe:299",
                           "bpe:4k",
                           "bpe:-1",
                           "bpe:1000001",
                           "unigram:99999999999999999999",
                           "model:",
                           "words:300"}) {
    const Result<TokenizerChoice> choice = parse_tokenizer(name);
    ASSERT_FALSE(choice) << name;
    EXPECT_EQ(choice.error().kind, ErrorKind::usage);
    EXPECT_FALSE(choice.error().hint.empty());
  }
}

TEST(ByteTokenizer, GivesEveryByteItsOwnValueAndEndsWith256) {
  const std::unique_ptr<Tokenizer> bytes = byte_tokenizer();

  EXPECT_THAT(*bytes->encode(std::string("\0a\xff", 3)), testing::ElementsAre(0U, 97U, 255U));
  EXPECT_EQ(bytes->vocab(), 257);
  EXPECT_EQ(bytes->end_token(), 256U);
}

class LearnedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(LearnedTokenizer, GivesTextBackByteForByte) {
  const auto tokenizer = *sentencepiece_tokenizer(learn(GetParam()), "model");
  const std::string text = test::invented_text(2, 2000) +
                           "\n\n  indented\twith tabs \r\n Caf\xc3\xa9 \xe2\x82\xac "
                           "\xf0\x9f\x90\xa7 \x01\x7f x ";

  const std::vector<std::uint32_t> ids = *tokenizer->encode(text);

  EXPECT_EQ(decoded(*tokenizer, ids), text);
  EXPECT_LT(ids.size(), text.size() * 2 / 3) << "it has learned the common words";
  EXPECT_THAT(ids, testing::Each(testing::Lt(tokenizer->vocab())));
  EXPECT_THAT(ids, testing::Each(testing::Ne(tokenizer->end_token())));
}

TEST_P(LearnedTokenizer, HasTheVocabularyAskedForAndIsTheSameEveryTime) {
  const std::string model = learn(GetParam());

  EXPECT_EQ((*sentencepiece_tokenizer(model, "model"))->vocab(),
            parse_tokenizer(GetParam())->vocab);
  EXPECT_EQ(learn(GetParam()), model);
}

INSTANTIATE_TEST_SUITE_P(SentencePiece,
                         LearnedTokenizer,
                         testing::Values("bpe:500", "unigram:500"));

// Byte pairs are merged line by line where that changes nothing: SentencePiece itself decides, on
// the whole text. The third model puts a blank before every text and takes blanks away: no line of
// it stands alone.
TEST(SentencePieceTokenizer, GivesTheTokensOfTheWholeText) {
  test::TemporaryFolder folder;
  test::write_text(folder.path(), "text", test::invented_text(1, 60'000));
  ASSERT_TRUE(
      sentencepiece::SentencePieceTrainer::Train({{"input", (folder / "text").string()},
                                                  {"model_prefix", (folder / "foreign").string()},
                                                  {"model_type", "bpe"},
                                                  {"vocab_size", "400"},
                                                  {"minloglevel", "2"}})
          .ok());
  const std::string foreign = *real_files().read(folder / "foreign.model");
  const std::string long_line(2000, 'x');
  const std::string page = "\n\n" + test::invented_text(5, 5000) + long_line + "  \n \n" +
                           test::invented_text(6, 700) + "no line break at the end";

  for (const std::string& model : {learn("bpe:500"), learn("unigram:500"), foreign}) {
    sentencepiece::SentencePieceProcessor processor;
    ASSERT_TRUE(processor.LoadFromSerializedProto(model).ok());
    std::vector<int> whole;
    ASSERT_TRUE(processor.Encode(page, &whole).ok());

    const std::vector<std::uint32_t> ids =
        *(*sentencepiece_tokenizer(model, "model"))->encode(page);

    EXPECT_EQ(std::vector<int>(ids.begin(), ids.end()), whole);
  }
}

TEST(LearnedTokenizer, SaysWhenTheTextCannotGiveSoManyPieces) {
  const Result<std::string> model =
      train_sentencepiece(*parse_tokenizer("bpe:9000"), lines_of("a few words\nand no more\n"));

  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::usage);
  EXPECT_THAT(model.error().what, HasSubstr("bpe:9000"));
}

TEST(SentencePieceTokenizer, RefusesAFileThatIsNoModel) {
  for (const std::string& bytes : {std::string("not a model"), std::string()}) {
    const auto tokenizer = sentencepiece_tokenizer(bytes, "broken.model");
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().kind, ErrorKind::input);
    EXPECT_THAT(tokenizer.error().what, HasSubstr("broken.model"));
  }
}

}  // namespace
}  // namespace ration::data
