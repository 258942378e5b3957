#include "eval/pairs/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/pairs/pair_builder.h"

namespace ration::eval {
namespace {

using test::lines_of;
using test::unigram_answer;
using test::WordCodec;
using testing::HasSubstr;

std::string line(const std::string& id,
                 const std::string& document,
                 const std::string& consistent,
                 const std::string& inconsistent) {
  return Json{{"id", id},
              {"document", document},
              {"consistent", consistent},
              {"inconsistent", inconsistent}}
             .dump() +
         "\n";
}

// Bytes as ids; 256 ends documents.
Codec bytes() {
  return {.encode = [](std::string_view text) -> Result<Ids> {
            Ids ids;
            for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
            return ids;
          },
          .end_token = 256,
          .vocab = 257};
}

// The lines of a request with ids of bytes as texts; "$" is the end token.
std::vector<std::string> texts(const Request& request, const char* member) {
  std::vector<std::string> found;
  for (const Json& each : lines_of(request.text)) {
    if (!each.contains(member)) continue;
    std::string& text = found.emplace_back();
    for (const int id : each.at(member).get<std::vector<int>>())
      text += id == 256 ? '$' : static_cast<char>(id);
  }
  return found;
}

TEST(PairRequest, HasTheExactPromptsAndThoseWithoutADocument) {
  const PairTask task = parse_task(line("a", "Rain fell.", "wet", "dry"), "f").value();

  const Request request = make_request(task, bytes(), {.context = 100}).value();

  EXPECT_THAT(texts(request, "prompt"),
              testing::ElementsAre("$",
                                   "The summary of \"\" is ",
                                   "Summarize: ",
                                   "Rain fell.",
                                   "The summary of \"Rain fell.\" is ",
                                   "Summarize: Rain fell."));
  EXPECT_EQ(lines_of(request.text)[0], (Json{{"schema", "ration.pairs/1"}, {"vocab", 257}}));
}

TEST(PairRequest, ABlankStandsBeforeAChoiceUnlessThePromptEndsInOne) {
  const PairTask task =
      parse_task(line("a", "Rain fell.", "wet", "dry") + line("b", "Sun.\n", "hot", "ice"), "f")
          .value();

  const Request request = make_request(task, bytes(), {.context = 100}).value();

  const std::vector<std::string> choices = texts(request, "choice");
  const auto text_of = [&](std::size_t item, std::size_t prompt) {
    const AskedChoice& asked = request.asked[item][prompt][task.items[item].label];
    EXPECT_EQ(choices[asked.with], choices[asked.without]);  // one choice with and without
    EXPECT_EQ(asked.first, static_cast<unsigned char>(choices[asked.with].front()));
    return choices[asked.with];
  };
  EXPECT_EQ(text_of(0, 0), " wet");
  EXPECT_EQ(text_of(0, 1), "wet");
  EXPECT_EQ(text_of(0, 2), " wet");
  EXPECT_EQ(text_of(1, 0), " hot");  // the document's last blank is left out
  EXPECT_EQ(text_of(1, 2), " hot");
  EXPECT_THAT(texts(request, "prompt"), testing::Contains("Sun."));
}

TEST(PairRequest, ADocumentCutBehindABlankLosesItToo) {
  const PairTask task = parse_task(line("a", "Rain fell down.", "wet", "dry"), "f").value();

  // Of a context of 9 bytes, the blank and the choice take 4: "Rain " would fit.
  const Request request = make_request(task, bytes(), {.prompts = {0}, .context = 9}).value();

  EXPECT_THAT(texts(request, "prompt"), testing::ElementsAre("$", "Rain"));
  EXPECT_THAT(texts(request, "choice"), testing::Each(testing::StartsWith(" ")));
  EXPECT_EQ(request.bytes_cut, 11);
}

TEST(PairRequest, NeverRepeatsAPromptOrAChoiceBehindIt) {
  std::string text;
  for (int i = 0; i < 6; ++i)
    text += line(std::to_string(i),
                 i < 3 ? "One document." : "Another.",
                 "same",
                 "wrong " + std::to_string(i % 2));
  const PairTask task = parse_task(text, "f").value();

  const Request request = make_request(task, bytes(), {.context = 100}).value();

  EXPECT_EQ(request.prompts, 3U + 2 * 3);          // without a document, and of each
  EXPECT_EQ(request.choices, 3U * 3 + 2 * 3 * 3);  // same, wrong 0, wrong 1 behind each of nine
}

TEST(PairRequest, CutsTheDocumentOnItsRightAndCountsIt) {
  const std::string document = "abcdefghijklmnopqrstuvwxyz\xc3\xa9\xc3\xa9";
  const PairTask task =
      parse_task(line("a", document, "yes", "no") + line("b", "short", "yes", "no"), "f").value();

  const Request request = make_request(task, bytes(), {.context = 32}).value();

  EXPECT_EQ(request.prompt_limit, 28);  // without " yes"
  EXPECT_THAT(texts(request, "prompt"),
              testing::ElementsAre("$",
                                   "The summary of \"\" is ",
                                   "Summarize: ",
                                   document.substr(0, 28),
                                   "The summary of \"abcdefg\" is ",
                                   "Summarize: abcdefghijklmnopq",
                                   "short",
                                   "The summary of \"short\" is ",
                                   "Summarize: short"));
  EXPECT_EQ(request.documents_cut, 1U);
  EXPECT_EQ(request.bytes_cut, 2 + 23 + 13);
}

TEST(PairRequest, NeverCutsWithinACharacter) {
  const PairTask task = parse_task(line("a", "abc\xc3\xa9zz", "y", "n"), "f").value();

  const Request request =
      make_request(task, bytes(), {.prompts = {0}, .context = 100, .prompt_tokens = 4}).value();

  EXPECT_EQ(texts(request, "prompt")[1], "abc");
}

TEST(PairRequest, RefusesWhatTheContextCannotHold) {
  const PairTask task = parse_task(line("a", "d", "a long choice", "no"), "f").value();

  const Result<Request> choice = make_request(task, bytes(), {.context = 14});
  const Result<Request> words = make_request(task, bytes(), {.context = 30});

  EXPECT_THAT(choice.error().what, HasSubstr("f:1: a choice has 14 tokens"));
  EXPECT_EQ(words.error().kind, ErrorKind::usage);
  EXPECT_THAT(words.error().what, HasSubstr("the words of prompt 1 are 21 tokens"));
}

TEST(PairRequest, OneTokenHasNoScoreWithoutTheFirst) {
  const PairTask task = parse_task(line("a", "d", "no", "y"), "f").value();
  const Request request = make_request(task, bytes(), {.prompts = {1}, .context = 90}).value();

  EXPECT_THAT(check_skip_first(task, request).error().what,
              HasSubstr("f:1: a choice is one token"));
}

TEST(PairAnswer, PmiBehindThePromptWithoutADocumentIsExactlyZero) {
  const PairTask task = parse_task(line("a", "", "wet and cold", "dry"), "f").value();
  WordCodec words;
  const Request request = make_request(task, words.codec(), {.context = 100}).value();

  const PairScores scores = parse_scores(unigram_answer(request), "s", request).value();
  const ItemSums sums = item_sums(task, request, scores).value();

  for (const auto& both : sums[0])
    for (const ChoiceSums& choice : both)
      for (const bool skip : {false, choice.tokens > 1}) {
        EXPECT_EQ(score_of(choice, Score::pmi, skip), 0);
        EXPECT_EQ(score_of(choice, Score::avg_pmi, skip), 0);
        EXPECT_LT(score_of(choice, Score::sum, skip), 0);
      }
}

TEST(PairAnswer, NamesTheLineThatIsNotTheOneAskedFor) {
  const PairTask task = parse_task(line("a", "d", "wet", "dry"), "t.jsonl").value();
  WordCodec words;
  const Request request =
      make_request(task, words.codec(), {.prompts = {0}, .context = 100}).value();
  const std::string good = unigram_answer(request);
  const auto error_of = [&](const std::string& text) {
    return parse_scores(text, "scores", request).error().what;
  };

  EXPECT_THAT(error_of(good.substr(good.find('\n') + 1)), HasSubstr("scores:1: these are not"));
  EXPECT_THAT(error_of(good.substr(0, good.rfind("{"))), HasSubstr("1 choices are missing"));
  EXPECT_THAT(error_of(good + "{\"choice\":9,\"logp\":[]}\n"), HasSubstr("scores:6: "));
  EXPECT_THAT(error_of(""), HasSubstr("scores:1: "));

  const std::size_t last = good.rfind('[');
  const std::string nan = good.substr(0, last) + "[\"nan\"]}\n";
  const PairScores scores = parse_scores(nan, "scores", request).value();
  EXPECT_THAT(item_sums(task, request, scores).error().what, HasSubstr("t.jsonl:1"));
}

}  // namespace
}  // namespace ration::eval
