#include "study/remedies/table.h"

#include <gtest/gtest.h>

namespace ration::study {
namespace {

Json a_table() {
  return {{"baseline", "repeat"},
          {"law", {"law", "repeat"}},
          {"arm",
           {{{"name", "code"}, {"kind", "mixing"}, {"blocks", {"code-10", "code-20"}}},
            {{"name", "decay"}, {"kind", "model"}},
            {{"name", "soup"},
             {"kind", "merge"},
             {"start", "half"},
             {"branches", {{{"tokens", "8Ktok"}}, {{"tokens", "8Ktok"}}}}},
            {{"name", "both"}, {"kind", "combined"}, {"parts", {"code-10", "decay"}}}}}};
}

std::string refusal(const Json& table) {
  const Result<RemedyTable> read = read_remedy_table(table, "sweep.toml");
  if (read) return "taken";
  std::string text = read.error().what;
  for (const Error& cause : read.error().causes) text += "\n" + cause.what;
  return text;
}

TEST(RemedyTable, ReadsBlocksAndChains) {
  const Result<RemedyTable> table = read_remedy_table(a_table(), "sweep.toml");

  ASSERT_TRUE(table) << table.error().what;
  EXPECT_EQ(table->law, std::vector<std::string>{"law"}) << "the baseline is in any case";
  EXPECT_EQ(table->arms[1].blocks, std::vector<std::string>{"decay"}) << "its name, by default";
  ASSERT_TRUE(table->arms[2].chain);
  EXPECT_TRUE(table->arms[2].blocks.empty());
  EXPECT_EQ(table->arms[2].chain->recipe, (Json{{"method", "average"}}));
}

TEST(RemedyTable, TellsEverythingThatIsWrongAtOnce) {
  Json table = a_table();
  table.erase("baseline");
  table["arm"][0]["kind"] = "mix";
  table["arm"][1]["rounds"] = 2;
  table["arm"][2]["recipe"] = {{"method", "fisher"}};
  table["arm"][3]["parts"] = {"code-10", "decoy"};

  const std::string text = refusal(table);

  for (const char* part : {"names no baseline",
                           "kind = \"mix\"",
                           "rounds needs a start",
                           "fisher needs statistics",
                           "joins \"decoy\""})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
}

TEST(RemedyTable, AChainMergesTwoBranchesOrGoesOn) {
  Json table = a_table();
  Json& soup = table["arm"][2];
  soup["branches"] = Json::array({Json{{"tokens", "8Ktok"}}});
  EXPECT_NE(refusal(table).find("is one alone"), std::string::npos);
  soup.erase("branches");
  EXPECT_NE(refusal(table).find("followed by nothing"), std::string::npos);
  soup["donors"] = true;
  EXPECT_NE(refusal(table).find("donors needs finish"), std::string::npos);
  soup["finish"] = {{"tokens", "8Ktok"}};
  EXPECT_EQ(refusal(table), "taken");
}

TEST(RemedyTable, SeedsOfBranchesAreNobodysToSet) {
  Json table = a_table();
  table["arm"][2]["branches"][0]["seed"] = 7;
  EXPECT_NE(refusal(table).find("branches sets seed"), std::string::npos);
  table = a_table();
  table["arm"][2]["finish"] = Json::array({Json{{"tokens", 1}}, Json{{"tokens", 2}}});
  EXPECT_NE(refusal(table).find("finish is a list"), std::string::npos);
}

TEST(RemedyTable, ANameIsTakenOnce) {
  Json table = a_table();
  table["arm"][1]["name"] = "code-20";

  EXPECT_NE(refusal(table).find("\"code-20\" is there twice"), std::string::npos);
}

}  // namespace
}  // namespace ration::study
