#include "eval/pairs/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "eval/pairs/verbatim.h"
#include "support/temporary_folder.h"

namespace ration::eval {
namespace {

using testing::HasSubstr;

std::string fib_line(const std::string& id, const std::string& document, int label = 0) {
  const std::vector<std::string> choices = {"one thing", "other thing"};
  return Json{{"id", id},
              {"input", document},
              {"correct_choice", choices[static_cast<std::size_t>(label)]},
              {"list_choices", choices},
              {"lbl", label}}
             .dump() +
         "\n";
}

std::string file_of(const std::string& model) {
  return "binary_choice-using_" + model + "_distractors.jsonl";
}

void write(const Path& path, const std::string& text) {
  ASSERT_TRUE(real_files().make_folders(path.parent_path()).has_value());
  ASSERT_TRUE(real_files().write_whole(path, text).has_value());
}

std::string described(const Result<PairTask>& task) {
  return task ? "no error" : task.error().describe();
}

TEST(PairTask, ReadsFibsLayoutByCorpusAndDistractorModel) {
  const test::TemporaryFolder root;
  write(root / "xsum/fib" / file_of("bart-base"), fib_line("1", "A") + fib_line("2", "B", 1));
  write(root / "xsum/fib" / file_of("t5-large"), fib_line("1", "A"));
  write(root / "cnn_dm/fib" / file_of("lead3"), fib_line("3", "C"));
  write(root / "xsum/factcc" / file_of("dateswp"), fib_line("9", "Z"));

  const Result<PairTask> task = read_task(real_files(), root.path(), {});

  ASSERT_TRUE(task.has_value()) << described(task);
  ASSERT_EQ(task->groups.size(), 3U);
  EXPECT_EQ(task->groups[0].name, "bart-base");
  EXPECT_EQ(task->groups[0].corpus, "xsum");
  EXPECT_EQ(task->groups[0].items, 2U);
  EXPECT_EQ(task->groups[2].corpus, "cnn_dm");
  EXPECT_EQ(task->documents, 3U);
  EXPECT_EQ(task->items[1].choices[task->items[1].label], "other thing");
}

TEST(PairTask, ReadsOneCorpusOneSetAndOneFileOfTheLayout) {
  const test::TemporaryFolder root;
  const Path file = root / "cnn_dm/fib" / file_of("lead3");
  write(file, fib_line("3", "C"));
  write(root / "cnn_dm/fir" / file_of("reference"), fib_line("4", "D") + fib_line("5", "D"));

  for (const Path& path : {root / "cnn_dm", root / "cnn_dm/fib", file}) {
    const Result<PairTask> task = read_task(real_files(), path, {});
    ASSERT_TRUE(task.has_value()) << described(task);
    EXPECT_EQ(task->items.size(), 1U) << path;
    EXPECT_EQ(task->groups[0].corpus, "cnn_dm");
    EXPECT_EQ(task->groups[0].name, "lead3");
  }
  EXPECT_EQ(read_task(real_files(), root.path(), {.set = "fir"}).value().items.size(), 2U);
}

TEST(PairTask, AnyOtherFileGetsItsOrderFromAHashOfTheId) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text +=
        Json{{"id", i}, {"document", "d"}, {"consistent", "good"}, {"inconsistent", "bad"}}.dump() +
        "\n";

  const PairTask task = parse_task(text, "mine.jsonl").value();

  std::size_t second = 0;
  for (const PairItem& item : task.items) {
    EXPECT_EQ(item.choices[item.label], "good");
    EXPECT_EQ(item.label, label_of(item.id));
    second += item.label;
  }
  EXPECT_GT(second, 150U);  // 200 expected, deviation 10
  EXPECT_LT(second, 250U);
  EXPECT_EQ(task.groups[0].name, "mine");
}

TEST(PairTask, NamesEveryLineThatCannotBeUsed) {
  const std::string good = R"({"id":"a","document":"d","consistent":"x","inconsistent":"y"})";
  const std::string text =
      good + "\nnot json\n" + R"({"id":"b","document":"d","consistent":"x"})" + "\n" +
      R"({"id":"c","document":"d","consistent":" ","inconsistent":"y"})" + "\n" +
      R"({"id":"d","input":"d","correct_choice":"x","list_choices":["x","y"],"lbl":1})" + "\n" +
      R"({"id":"e","input":"d","correct_choice":"x","list_choices":["x","y"],"lbl":2})" + "\n";

  const std::string told = described(parse_task(text, "f.jsonl"));

  EXPECT_THAT(told, HasSubstr("f.jsonl:2: it is no JSON object"));
  EXPECT_THAT(told, HasSubstr("f.jsonl:3: there is no text \"inconsistent\""));
  EXPECT_THAT(told, HasSubstr("f.jsonl:4: a choice is empty"));
  EXPECT_THAT(told, HasSubstr("f.jsonl:5: \"correct_choice\" is not the one"));
  EXPECT_THAT(told, HasSubstr("f.jsonl:6: \"lbl\" is neither 0 nor 1"));
}

TEST(PairTask, RefusesAnIdTwiceInAGroupAndTellsBothLines) {
  const auto in_group = [](const char* group) {
    return Json{{"id", "a"},
                {"group", group},
                {"document", "d"},
                {"consistent", "x"},
                {"inconsistent", "y"}}
               .dump() +
           "\n";
  };

  EXPECT_TRUE(parse_task(in_group("one") + in_group("two"), "f.jsonl"));
  EXPECT_THAT(described(parse_task(in_group("one") + in_group("two") + in_group("one"), "f.jsonl")),
              HasSubstr("f.jsonl:3: f.jsonl:1 has the same id, \"a\""));
}

TEST(PairTask, TakesIdsOfSixtyFourBitsAndLabelsThatAreWholeNumbers) {
  Json line = {{"id", 18446744073709551615U},
               {"document", "d"},
               {"consistent", "x"},
               {"inconsistent", "y"},
               {"list_choices", nullptr}};
  EXPECT_EQ(parse_task(line.dump(), "f.jsonl").value().items[0].id, "18446744073709551615");
  line = parse_json(fib_line("a", "d"), "").value();
  line["lbl"] = 0.0;
  EXPECT_THAT(described(parse_task(line.dump(), "f.jsonl")), HasSubstr("\"lbl\" is neither"));
}

TEST(PairTask, IsCalledAfterTheFolderOfItsSetOrPairs) {
  const test::TemporaryFolder root;
  write(root / "xsum/factcc/binary_choice-using_dateswp.jsonl", fib_line("9", "Z"));
  const Path file = root / "xsum/fib" / file_of("t5-large");
  write(file, fib_line("1", "A"));

  const PairTask rules = read_task(real_files(), root.path(), {.set = "factcc"}).value();

  EXPECT_EQ(rules.set, "factcc");
  EXPECT_EQ(rules.groups[0].name, "dateswp");
  EXPECT_EQ(read_task(real_files(), file, {.set = "factcc"}).value().set, "fib");
  EXPECT_EQ(parse_task(R"({"id":"a","document":"d","consistent":"x","inconsistent":"y"})", "f")
                .value()
                .set,
            "pairs");
}

TEST(PairTask, AFolderOfAnotherLayoutAndAnEmptyFileAreErrors) {
  const test::TemporaryFolder root;

  EXPECT_EQ(read_task(real_files(), root.path(), {}).error().kind, ErrorKind::input);
  EXPECT_EQ(read_task(real_files(), root / "missing", {}).error().kind, ErrorKind::input);
  EXPECT_THAT(described(parse_task("\n", "f.jsonl")), HasSubstr("there are no items"));
}

TEST(PairTask, TakesTagsOffFilesThatHaveThemUnlessToldNot) {
  const test::TemporaryFolder root;
  const Json line = {{"id", "a"},
                     {"document", "He left. She stayed."},
                     {"consistent", "<t> she stayed . </t> <t> he left . </t>"},
                     {"inconsistent", "<t> he stayed . </t>"}};
  write(root / "tags.jsonl", line.dump());

  const PairTask off = read_task(real_files(), root / "tags.jsonl", {}).value();
  const PairTask on = read_task(real_files(), root / "tags.jsonl", {.strip_tags = false}).value();

  EXPECT_EQ(off.items[0].choices[off.items[0].label], "she stayed . he left .");
  EXPECT_TRUE(off.files[0].stripped);
  EXPECT_EQ(on.items[0].choices[on.items[0].label], "<t> she stayed . </t> <t> he left . </t>");
  EXPECT_FALSE(on.files[0].stripped);
  EXPECT_NE(off.digest(), on.digest());
}

// Both sentences stand in the document, not one behind the other: without its tags the summary
// would be a single text that does not.
TEST(PairTask, LooksForCopiesSentenceBySentenceWhetherTagsStayOrNot) {
  const test::TemporaryFolder root;
  const Json line = {{"id", "a"},
                     {"document", "First sentence here. Second one. Third sentence here."},
                     {"consistent", "<t> anything else </t>"},
                     {"inconsistent", "<t> first sentence here </t> <t> third sentence here </t>"}};
  write(root / "tags.jsonl", line.dump());

  for (const bool strip : {true, false})
    EXPECT_TRUE(read_task(real_files(), root / "tags.jsonl", {.strip_tags = strip})
                    .value()
                    .items[0]
                    .verbatim)
        << strip;
}

TEST(Verbatim, TakesBlanksAndQuotesBeyondAsciiForBlanks) {
  const std::string document =
      "The\u00a0mill \u2014 \u201cold\u201d \u2014 didn\u2019t close\u2026 in caf\u00e9s.";

  EXPECT_EQ(normalised(document), "the mill old didn t close in caf\u00e9s");
  EXPECT_TRUE(copied("The mill - \"old\" - didn't close", document));
  EXPECT_FALSE(copied("in caf\u00ea", document));
}

TEST(Verbatim, IsWhatStandsInTheDocumentSentenceBySentence) {
  const std::string document = "The Mill closed in 1906. Nobody knew why, it said. Then it burned!";

  EXPECT_TRUE(copied("<t> the mill closed in 1906 . </t> <t> then it burned </t>", document));
  EXPECT_TRUE(copied("Then it burned. The mill closed in 1906.", document));
  EXPECT_FALSE(copied("The mill closed in 190.", document));  // whole words alone
  EXPECT_FALSE(copied("The mill closed in 1906. Nobody cared.", document));
  EXPECT_FALSE(copied("...", document));
}

}  // namespace
}  // namespace ration::eval
