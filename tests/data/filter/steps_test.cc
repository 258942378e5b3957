#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/filter/filter.h"
#include "data/filter/planted_corpus.h"

namespace ration::test {
namespace {

using namespace data::filter;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(StepText, IsReadWithDefaultsAndWrittenOut) {
  const auto written = [](const char* text) { return text_of(parse_step(text).value()); };

  EXPECT_EQ(written("exact"), "exact");
  EXPECT_EQ(written("near"), "near:0.8:words=5:hashes=128:bands=18x7:bucket=2000:seed=1");
  EXPECT_EQ(written("near:0.7:bands=balanced"),
            "near:0.7:words=5:hashes=128:bands=14x9:bucket=2000:seed=1");
  EXPECT_EQ(written("near:0.9:bands=20x5:words=3:hashes=256"),
            "near:0.9:words=3:hashes=256:bands=20x5:bucket=2000:seed=1");
  EXPECT_EQ(written("repeats"), "repeats:100:first:method=anchors");
  EXPECT_EQ(written("repeats:50:drop:method=suffix-array"), "repeats:50:drop:method=suffix-array");
  EXPECT_EQ(written("against:64:cut"), "against:64:cut");
  EXPECT_EQ(written("perplexity:lowest=0.25"), "perplexity:band=0..0.25:order=0:unit=token");
  EXPECT_EQ(written("perplexity:middle=0.5:unit=byte:order=4"),
            "perplexity:band=0.25..0.75:order=4:unit=byte");
}

TEST(StepText, WrittenOutReadsBackTheSame) {
  for (const char* text :
       {"exact", "near:0.85", "repeats:200:cut", "against", "perplexity:band=0.1..0.4"}) {
    const std::string once = text_of(parse_step(text).value());
    EXPECT_EQ(text_of(parse_step(once).value()), once);
  }
}

TEST(StepText, ThatCannotBeReadSaysWhatIsAllowed) {
  const auto said = [](const char* text) {
    const Error error = parse_step(text).error();
    EXPECT_EQ(error.kind, ErrorKind::usage);
    return error.describe();
  };

  EXPECT_THAT(said("neer:0.8"), HasSubstr("did you mean \"near\"?"));
  EXPECT_THAT(said(""), HasSubstr("repeats:BYTES"));
  EXPECT_THAT(said("exact:1"), HasSubstr("without options"));
  EXPECT_THAT(said("near:high"), HasSubstr("bands=BxR"));
  EXPECT_THAT(said("near:0.8:bands=20"), HasSubstr("bands=BxR"));
  EXPECT_THAT(said("near:1.5"), HasSubstr("at most 1"));
  EXPECT_THAT(said("near:0.8:bands=100x9"), HasSubstr("more than the 128 hashes"));
  EXPECT_THAT(said("near:0:bands=balanced"), HasSubstr("above 0"));
  EXPECT_THAT(said("repeats:100:delete"), HasSubstr("drop, first or cut"));
  EXPECT_THAT(said("repeats:5"), HasSubstr("16"));
  EXPECT_THAT(said("perplexity:lowest=2"), HasSubstr("0 … 1"));
  EXPECT_THAT(said("near:0.8:0.3"), HasSubstr("contradicts"));
  EXPECT_THAT(said("against:50:cut:drop"), HasSubstr("contradicts"));
  EXPECT_THAT(said("perplexity:lowest=0.5:middle=0.2"), HasSubstr("contradicts"));
  EXPECT_THAT(said("perplexity:best=0.5"), HasSubstr("lowest=SHARE"));
}

std::vector<Step> steps(const std::vector<std::string>& texts) {
  std::vector<Step> out;
  for (const std::string& text : texts) out.push_back(parse_step(text).value());
  return out;
}

TEST(Steps, SeeWhatEarlierStepsLeftAndReportNumbersOfTheCorpus) {
  const std::string a = random_letters(1, 150, 26), b = random_letters(2, 150, 26);
  const std::string c = random_letters(3, 150, 26);
  const TextDocuments corpus({a, a, b + a + c, c + b, random_letters(4, 99, 26)});

  const FilterResult result = run_steps(corpus, steps({"exact", "repeats:100"}), {}).value();

  ASSERT_EQ(result.reports.size(), 2U);
  EXPECT_EQ(result.reports[0].changes[0].document, 1U);
  EXPECT_EQ(result.reports[1].documents_before, 4U);
  EXPECT_EQ(result.reports[1].changes[0].document, 2U);
  EXPECT_EQ(result.reports[1].changes[0].other, 0U);
  EXPECT_EQ(result.reports[1].changes[1].document, 3U);  // nothing of it is left
  EXPECT_EQ(result.reports[1].changes[1].other, 2U);
  EXPECT_THAT(result.documents,
              ElementsAre(KeptDocument{0, {}}, KeptDocument{2, {{150, 300}}}, KeptDocument{4, {}}));
}

TEST(Steps, CutInPlacesOfTheCorpusHoweverOftenTheyCut) {
  const std::string a = random_letters(1, 60, 26), b = random_letters(2, 60, 26);
  // Without a, the two halves of b come together and are a repeat of the second document.
  const TextDocuments corpus(
      {a + " first", b + " second", b.substr(0, 30) + a + b.substr(30) + "!"});

  const FilterResult result = run_steps(corpus, steps({"repeats:60", "repeats:60"}), {}).value();

  EXPECT_THAT(result.documents,
              ElementsAre(KeptDocument{0, {}}, KeptDocument{1, {}}, KeptDocument{2, {{0, 120}}}));
  EXPECT_THAT(result.reports[1].changes[0].cuts, ElementsAre(Span{0, 120}));
}

TEST(Steps, AreRepeatedFromTheirRecords) {
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < 100; ++i) texts.push_back(joined(drawn_words(i / 2, 100)) + " x");
  const TextDocuments corpus(texts);
  const FilterResult once = run_steps(corpus, steps({"near:0.9", "repeats:64:cut"}), {}).value();

  std::vector<std::string> again;
  for (const FilterReport& report : once.reports) again.push_back(report.record["text"]);
  const FilterResult twice = run_steps(corpus, steps(again), {}).value();

  EXPECT_EQ(once.documents, twice.documents);
  EXPECT_EQ(once.reports[0].record, twice.reports[0].record);
  EXPECT_THAT(once.reports[0].one_line(), HasSubstr("near: 50 of 100 documents dropped, 0 cut"));
}

TEST(Steps, WithoutWhatTheyNeedSayWhatIsMissing) {
  const TextDocuments corpus({"a"});
  const auto said = [&](const char* text) {
    return run_steps(corpus, steps({text}), {}).error().describe();
  };

  EXPECT_THAT(said("against"), HasSubstr("held-out corpus"));
  EXPECT_THAT(said("perplexity"), HasSubstr("reference corpus"));
}

TEST(Steps, OfOtherCorporaKeepTheirNumbers) {
  const std::string shared = random_letters(1, 150, 26);
  const TextDocuments corpus({"same", "same", shared});
  const TextDocuments held_out({"other", shared});

  const FilterResult result =
      run_steps(corpus, steps({"exact", "against"}), {.held_out = &held_out}).value();

  EXPECT_EQ(result.reports[1].changes[0].document, 2U);
  EXPECT_EQ(result.reports[1].changes[0].other, 1U);
  EXPECT_THAT(result.documents, ElementsAre(KeptDocument{0, {}}));
}

TEST(Steps, OnAnEmptyCorpusLeaveItEmpty) {
  const TextDocuments corpus({}), reference({"some text"});
  const auto tokenizer = data::byte_tokenizer();
  const StepInputs inputs{&reference, &reference, tokenizer.get()};

  const FilterResult result =
      run_steps(corpus, steps({"exact", "near", "repeats", "against", "perplexity"}), inputs)
          .value();

  EXPECT_EQ(result.reports.size(), 5U);
  EXPECT_TRUE(result.documents.empty());
}

}  // namespace
}  // namespace ration::test
