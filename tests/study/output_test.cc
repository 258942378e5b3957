#include "study/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/temporary_folder.h"

namespace ration::study {
namespace {

using testing::ElementsAre;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

DataTable losses() {
  return {.name = "losses",
          .columns = {{"corpus", tables::Type::text}, {"loss", tables::Type::real}},
          .rows = {{std::string("prose"), 1.234567}, {std::string("a|b"), kNone}}};
}

TEST(Tables, OfAStudyAreFilesOfCommaSeparatedText) {
  const test::TemporaryFolder folder;
  const Path there = study_folder(folder.path(), "mine");
  const std::vector<DataTable> tables = {losses()};

  ASSERT_TRUE(write_tables(real_files(), there, tables));

  EXPECT_EQ(there, folder.path() / "studies" / "mine");
  EXPECT_EQ(real_files().read(there / "losses.csv").value(), "corpus,loss\nprose,1.234567\na|b,\n");
}

TEST(Tables, OfAPageAreRoundedAndShowWhatIsMissing) {
  const report::Table page = page_table(losses(), 3);

  EXPECT_THAT(page.header, ElementsAre("corpus", "loss"));
  EXPECT_THAT(page.rows[0], ElementsAre("prose", "1.23"));
  EXPECT_THAT(page.rows[1], ElementsAre("a|b", "–"));
  EXPECT_EQ(markdown(page), "| corpus | loss |\n| --- | --- |\n| prose | 1.23 |\n| a\\|b | – |\n");
}

TEST(Intervals, AreWrittenBehindTheirValue) {
  EXPECT_EQ(with_interval(0.12, 0.08, 0.16, 2), "0.12 [0.08, 0.16]");
  EXPECT_EQ(with_interval(0.12, kNone, kNone, 2), "0.12");
  EXPECT_EQ(with_interval(kNone, 0, 1), "–");
}

}  // namespace
}  // namespace ration::study
