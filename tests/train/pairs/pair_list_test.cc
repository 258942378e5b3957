#include "train/pairs/pair_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ration::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHeader = "{\"schema\":\"ration.pairs/1\",\"vocab\":9}\n";

std::string problem_of(const std::string& text) {
  const Result<PairList> list = parse_pair_list(text, "LIST");
  return list ? "no error" : list.error().describe();
}

TEST(PairList, KnowsTheChoicesOfEachPrompt) {
  const Result<PairList> list = parse_pair_list(std::string(kHeader) +
                                                    "{\"prompt\":[1,2,3]}\n"
                                                    "{\"prompt\":[8]}\n"
                                                    "{\"after\":1,\"choice\":[4,5]}\n"
                                                    "{\"choice\":[0],\"after\":0}\n"
                                                    "{\"after\":1,\"choice\":[6]}",
                                                "LIST");

  ASSERT_TRUE(list) << list.error().describe();
  EXPECT_EQ(list->vocab, 9);
  ASSERT_EQ(list->prompts.size(), 2U);
  EXPECT_THAT(list->prompts[0].tokens, ElementsAre(1, 2, 3));
  EXPECT_THAT(list->prompts[0].choices, ElementsAre(1));
  EXPECT_THAT(list->prompts[1].choices, ElementsAre(0, 2));
  EXPECT_THAT(list->choices[0].tokens, ElementsAre(4, 5));
  EXPECT_EQ(list->choices[2].first, 3U);
  EXPECT_EQ(list->choice_tokens, 4U);
}

TEST(PairList, NamesTheLineThatIsWrong) {
  const std::string prompt = std::string(kHeader) + "{\"prompt\":[1]}\n";
  const std::pair<std::string, const char*> cases[] = {
      {"", "LIST:1: no JSON object"},
      {"{\"vocab\":9}\n", "LIST:1: not the first line of a list of choices"},
      {"{\"schema\":\"ration.pairs/1\",\"vocab\":0}\n", "LIST:1: not the first line"},
      {std::string(kHeader) + "{\"prompt\":[]}\n", "LIST:2: an empty prompt"},
      {std::string(kHeader) + "{\"prompt\":[1,9]}\n", "LIST:2: the token id 9 lies outside"},
      {std::string(kHeader) + "{\"prompt\":[-1]}\n", "LIST:2: the token id -1 lies outside"},
      {std::string(kHeader) + "{\"prompt\":[18446744073709551615]}\n", "LIST:2: the token id"},
      {std::string(kHeader) + "{\"prompt\":[1.5]}\n", "LIST:2: 1.5 is no token id"},
      {std::string(kHeader) + "{\"prompt\":3}\n", "LIST:2: \"prompt\" is no array"},
      {std::string(kHeader) + "{\"after\":0,\"choice\":[1]}\n", "LIST:2: \"after\" is 0"},
      {prompt + "{\"after\":1,\"choice\":[1]}\n", "LIST:3: \"after\" is 1"},
      {prompt + "{\"after\":-1,\"choice\":[1]}\n", "LIST:3: \"after\" is -1"},
      {prompt + "{\"after\":\"0\",\"choice\":[1]}\n", "LIST:3: \"after\" is \"0\""},
      {prompt + "{\"after\":0,\"choice\":[]}\n", "LIST:3: an empty choice"},
      {prompt + "{\"after\":0,\"choice\":[1],\"x\":1}\n", "LIST:3: neither a prompt nor a choice"},
      {prompt + "\n", "LIST:3: no JSON object"},
      {prompt + "{\"after\":0,\"choice\":[1]}\n{\"prompt\":[1]}\n",
       "LIST:4: a prompt behind a choice"},
      {prompt + "{\"after\":0,\"choice\":[1", "LIST:3: no JSON object"}};
  for (const auto& [text, said] : cases) EXPECT_THAT(problem_of(text), HasSubstr(said)) << text;
}

TEST(PairList, FitsAModelWhoseContextHoldsPromptAndChoice) {
  const PairList list = parse_pair_list(std::string(kHeader) +
                                            "{\"prompt\":[1,2,3]}\n"
                                            "{\"after\":0,\"choice\":[4]}\n"
                                            "{\"after\":0,\"choice\":[4,5]}\n",
                                        "LIST")
                            .value();

  EXPECT_TRUE(check_fits(list, "LIST", 9, 5));
  EXPECT_THAT(check_fits(list, "LIST", 9, 4).error().describe(),
              HasSubstr("LIST:4: a prompt of 3 tokens and a choice of 2 are more than the model's "
                        "context of 4"));
  EXPECT_THAT(check_fits(list, "LIST", 10, 5).error().describe(),
              HasSubstr("LIST:1: the list has a vocabulary of 9 tokens, the model one of 10"));
}

}  // namespace
}  // namespace ration::train
