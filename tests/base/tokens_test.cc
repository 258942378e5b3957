#include "base/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace ration {
namespace {

TEST(Tokens, AreThirtyTwoHexDigitsAndNeverTheSame) {
  const std::vector<std::string> tokens = random_tokens(1000);

  ASSERT_EQ(tokens.size(), 1000U);
  EXPECT_THAT(tokens, testing::Each(testing::MatchesRegex("[0-9a-f]{32}")));
  EXPECT_EQ(std::set<std::string>(tokens.begin(), tokens.end()).size(), 1000U);
  EXPECT_NE(random_token(), random_token());
}

TEST(Tokens, UseEveryDigitInEveryPlace) {
  std::vector<std::set<char>> seen(32);
  for (const std::string& token : random_tokens(1000))
    for (std::size_t i = 0; i < token.size(); ++i) seen[i].insert(token[i]);

  EXPECT_THAT(seen, testing::Each(testing::SizeIs(16)));  // missing one: once in 10^25
}

}  // namespace
}  // namespace ration
