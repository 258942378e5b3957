#include "data/filter/preparation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/document_table.h"
#include "data/filter/planted_corpus.h"
#include "data/prepare.h"
#include "data/shards.h"
#include "data/stats.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::test {
namespace {

using namespace data::filter;
using data::Manifest;
using data::Preparation;
using data::Split;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

// A folder of 40 texts, half of them held out, that share nothing until a test plants it.
class FilteredPreparation : public testing::Test {
 protected:
  FilteredPreparation() {
    for (int i = 0; i < 40; ++i) write(i, text(i));
    const Manifest plain = prepare({}, "plain").value().manifest;
    for (const data::SourceFile& source : plain.sources)
      (source.use == "val" ? held_out_ : training_).push_back(std::stoi(source.path));
  }

  static std::string text(int i) {
    return joined(drawn_words(static_cast<std::uint64_t>(i + 1), 120)) + ".\n";
  }
  void write(int i, const std::string& bytes) {
    write_text(folder_.path(), fmt::format("text/{:02}.txt", i), bytes);
  }

  Result<Preparation> prepare(FilterPlan plan,
                              const std::string& out = "data",
                              int threads = 2,
                              const std::string& from = "text") {
    data::PrepareOptions options;
    options.held_out_one_in = 2;
    options.threads = threads;
    options.more_held_out = !plan.against.empty();
    plan.resources.threads = threads;
    options.filter = document_filter(plan);
    options.overlap = overlap_check(plan);
    return data::prepare(real_files(), system_clock(), folder_ / from, folder_ / out, options);
  }

  static FilterPlan plan(const std::vector<std::string>& steps) {
    FilterPlan plan;
    for (const std::string& step : steps) plan.steps.push_back(parse_step(step).value());
    return plan;
  }

  // The training documents as a model sees them.
  std::vector<std::string> trained_on(const Preparation& made, const std::string& out = "data") {
    const Path folder = folder_ / out;
    const auto pool =
        data::TokenPool::open(real_files(), folder, made.manifest, Split::train).value();
    const auto tokenizer = data::tokenizer_of(real_files(), folder, made.manifest).value();
    std::vector<std::string> texts;
    for (std::size_t i = 0; i + 1 < pool.document_starts().size(); ++i)
      texts.push_back(data::document_text(pool, *tokenizer, i).value());
    return texts;
  }

  std::vector<std::string> texts_of(const std::vector<int>& documents) {
    std::vector<std::string> texts;
    for (const int i : documents) texts.push_back(text(i));
    return texts;
  }

  TemporaryFolder folder_;
  std::vector<int> held_out_, training_;
};

TEST_F(FilteredPreparation, LeavesCopiesOutOfTheTokensAndSaysSo) {
  const int copy = training_.back();
  write(copy, text(training_.front()));

  const Preparation made = prepare(plan({"exact"})).value();

  std::vector<int> kept = training_;
  kept.pop_back();
  EXPECT_THAT(trained_on(made), UnorderedElementsAreArray(texts_of(kept)));
  EXPECT_EQ(made.manifest.sources[static_cast<std::size_t>(copy)].use, "filtered");
  const Json& step = made.manifest.provenance["filters"]["steps"][0];
  EXPECT_EQ(step["documents_before"], training_.size());
  EXPECT_EQ(step["documents_after"], training_.size() - 1);
  EXPECT_THAT(made.full(), HasSubstr(fmt::format("1 of {} documents dropped", training_.size())));
  const auto dropped = data::read_dropped(real_files(), folder_ / "data").value();
  ASSERT_THAT(dropped, SizeIs(1));
  EXPECT_EQ(dropped[0].detail, fmt::format("equal to {:02}.txt", training_.front()));
}

TEST_F(FilteredPreparation, CutsRepeatedTextOutOfTheLaterDocument) {
  const std::string shared = joined(drawn_words(1000, 40));
  write(training_[0], text(training_[0]) + shared);
  write(training_[1], "before " + shared + " behind");

  const Preparation made = prepare(plan({"repeats:100:first"})).value();

  EXPECT_THAT(trained_on(made), Contains(text(training_[0]) + shared));
  EXPECT_THAT(trained_on(made), Contains("before  behind"));
  EXPECT_EQ(made.manifest.provenance["filters"]["steps"][0]["documents_cut"], 1);
}

TEST_F(FilteredPreparation, CountsHeldOutTextAmongTheTrainingDocuments) {
  const std::string quoted = text(held_out_[0]).substr(50, 150);
  write(training_[3], text(training_[3]) + "|" + quoted + "|");

  const Json overlap = prepare({}).value().manifest.provenance["overlap"];

  EXPECT_EQ(overlap["length"], 100);
  EXPECT_EQ(overlap["documents"], 1);
  EXPECT_EQ(overlap["bytes"], 150);
  EXPECT_EQ(overlap["own"]["documents"], held_out_.size());
  EXPECT_EQ(overlap["own"]["documents_met"], 1);
  EXPECT_EQ(overlap["own"]["bytes_met"], 150);
}

TEST_F(FilteredPreparation, FindsNoHeldOutTextWhereNoneIs) {
  const Preparation made = prepare({}).value();
  EXPECT_EQ(made.manifest.provenance["overlap"]["documents"], 0);
  EXPECT_THAT(made.full(), HasSubstr("100 bytes or more in a row: none"));
}

TEST_F(FilteredPreparation, TakesHeldOutTextOutAndThenCountsNone) {
  const std::string own = text(training_[3]);
  write(training_[3], own + "|" + text(held_out_[0]).substr(50, 150) + "|");

  const Preparation cut = prepare(plan({"against:100:cut"}), "cut").value();
  EXPECT_THAT(trained_on(cut, "cut"), Contains(own + "||"));
  EXPECT_EQ(cut.manifest.provenance["overlap"]["documents"], 0);

  const Preparation dropped = prepare(plan({"against:100:drop"}), "dropped").value();
  EXPECT_THAT(trained_on(dropped, "dropped"), SizeIs(training_.size() - 1));
  EXPECT_EQ(dropped.manifest.provenance["overlap"]["documents"], 0);
}

TEST_F(FilteredPreparation, LooksForTheHeldOutTextOfOtherDataToo) {
  const std::string target = joined(drawn_words(2000, 300));
  for (int i = 0; i < 8; ++i)
    write_text(
        folder_.path(), fmt::format("target/{}.txt", i), target.substr(0, 400) + text(100 + i));
  const Manifest other = prepare({}, "prose", 2, "target").value().manifest;
  write(training_[5], text(training_[5]) + target.substr(100, 200));
  FilterPlan checked;
  checked.against = {folder_ / "prose"};

  const Json overlap = prepare(checked).value().manifest.provenance["overlap"];

  ASSERT_EQ(overlap["against"].size(), 1);
  EXPECT_EQ(overlap["against"][0]["data"], other.digest);
  EXPECT_EQ(overlap["against"][0]["bytes_met"], 200);
  EXPECT_EQ(overlap["own"]["bytes_met"], 0);
  EXPECT_EQ(overlap["documents"], 1);
  EXPECT_EQ(overlap["bytes"], 200);

  checked.steps = {parse_step("against:100:cut").value()};
  const Preparation clean = prepare(checked, "clean").value();
  EXPECT_EQ(clean.manifest.provenance["overlap"]["documents"], 0);
  EXPECT_EQ(clean.manifest.provenance["filters"]["against"],
            Json::array({{{"data", other.digest}}}));
}

TEST_F(FilteredPreparation, KeepsWhatIsLikeTheReference) {
  // The reference has the words of the even training documents.
  std::string reference;
  std::vector<int> alike;
  for (std::size_t i = 0; i < training_.size(); i += 2) {
    alike.push_back(training_[i]);
    reference += text(training_[i]) + text(training_[i]);
  }
  write_text(folder_.path(), "reference/all.txt", reference);
  FilterPlan chosen = plan(
      {fmt::format("perplexity:lowest={}",
                   static_cast<double>(alike.size()) / static_cast<double>(training_.size()))});
  chosen.reference = folder_ / "reference";
  chosen.reference_tokenizer = "bpe:400";

  const Preparation made = prepare(chosen).value();

  EXPECT_THAT(trained_on(made), UnorderedElementsAreArray(texts_of(alike)));
  const Json& figures = made.manifest.provenance["filters"]["steps"][0]["figures"];
  EXPECT_EQ(figures["near_duplicates_kept"], 0);
  EXPECT_TRUE(figures["rank_correlation_with_length"].is_null()) << "all are equally long";
}

TEST_F(FilteredPreparation, KeepsTheLowestOfScoresThatAreGiven) {
  std::string lines = "{\"schema\": \"ration.scores/1\"}\n";
  std::vector<int> best;
  for (std::size_t i = 0; i < training_.size(); ++i) {
    const bool low = i % 4 == 0;
    if (low) best.push_back(training_[i]);
    lines += fmt::format(
        "{{\"document\": \"{:02}.txt\", \"score\": {}}}\n", training_[i], low ? -1.5 : 2.0);
  }
  write_text(folder_.path(), "scores.jsonl", lines);
  FilterPlan chosen =
      plan({fmt::format("perplexity:lowest={}",
                        static_cast<double>(best.size()) / static_cast<double>(training_.size()))});
  chosen.scores = folder_ / "scores.jsonl";

  EXPECT_THAT(trained_on(prepare(chosen).value()), UnorderedElementsAreArray(texts_of(best)));

  write_text(folder_.path(), "scores.jsonl", lines.substr(0, lines.size() - 45));
  const Result<Preparation> missing = prepare(chosen, "other");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::input);

  write_text(folder_.path(), "scores.jsonl", "{\"text_sha256\": \"0\"}\n" + lines);
  const Result<Preparation> foreign = prepare(chosen, "other");
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().describe(), HasSubstr("holds scores of other text"));

  write_text(folder_.path(), "scores.jsonl", lines + lines);
  const Result<Preparation> twice = prepare(chosen, "other");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().describe(), HasSubstr("a second score of"));

  write_text(folder_.path(), "scores.jsonl", "\n{\"document\": \"01.txt\", \"score\": null}\n");
  const Result<Preparation> bad = prepare(chosen, "other");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().describe(), HasSubstr("scores.jsonl, line 2"));
}

TEST_F(FilteredPreparation, IsTheSameForAnyThreadsAndMemory) {
  for (const int i : {0, 1, 2}) write(training_[static_cast<std::size_t>(i)], text(500) + text(i));
  FilterPlan all = plan({"exact", "near:0.5", "repeats:100:first", "against:100:cut"});
  const Manifest one = prepare(all, "one", 1).value().manifest;
  all.resources.memory_bytes = 16 << 20;
  const Manifest two = prepare(all, "two", 3).value().manifest;

  EXPECT_EQ(one.digest, two.digest);
  EXPECT_EQ(one.provenance, two.provenance);
  EXPECT_LT(one.train.documents, std::ssize(training_));
}

TEST_F(FilteredPreparation, RepeatedWritesNothingWithAndWithoutTheCheck) {
  const Preparation first = prepare(plan({"exact"})).value();
  FilterPlan unchecked = plan({"exact"});
  unchecked.count_overlap = false;

  EXPECT_FALSE(first.unchanged);
  EXPECT_TRUE(prepare(plan({"exact"})).value().unchanged);
  const Preparation again = prepare(unchecked).value();
  EXPECT_TRUE(again.unchanged);
  EXPECT_TRUE(again.manifest.provenance.contains("overlap"));
  EXPECT_FALSE(prepare(plan({"near"})).has_value()) << "other filters are other data";
}

TEST_F(FilteredPreparation, ComparesDataThatAreThereWithMoreHeldOutText) {
  const Preparation first = prepare({}).value();
  ASSERT_TRUE(first.manifest.provenance["overlap"]["against"].empty());
  write_text(folder_.path(), "questions/one.txt", text(training_[2]).substr(20, 120));
  FilterPlan more;
  more.against = {folder_ / "questions"};

  const Preparation again = prepare(more).value();

  EXPECT_TRUE(again.unchanged);
  EXPECT_EQ(again.manifest.digest, first.manifest.digest);
  const Json there =
      data::read_manifest(real_files(), folder_ / "data").value().provenance["overlap"];
  EXPECT_EQ(there["against"][0]["bytes_met"], 120) << "short texts count";
  EXPECT_THAT(again.full(), HasSubstr("at least 100.00 % of questions (1 of 1 documents)"));
}

TEST_F(FilteredPreparation, FindsTheSameInManyPassesOverLittleMemory) {
  for (int i = 0; i < 6; ++i)
    write(training_[static_cast<std::size_t>(i)],
          text(training_[static_cast<std::size_t>(i)]) +
              text(held_out_[static_cast<std::size_t>(i)])
                  .substr(10, 130 + 10 * static_cast<std::size_t>(i)));
  const Preparation whole = prepare(plan({"against:100:cut"}), "whole").value();
  FilterPlan little = plan({"against:100:cut"});
  little.resources.memory_bytes = 4000;  // two or three held-out documents
  const Preparation parts = prepare(little, "parts").value();

  EXPECT_EQ(whole.manifest.digest, parts.manifest.digest);
  EXPECT_EQ(whole.manifest.provenance, parts.manifest.provenance);
  EXPECT_EQ(whole.manifest.provenance["filters"]["steps"][0]["figures"]["bytes_shared"],
            130 + 140 + 150 + 160 + 170 + 180);

  FilterPlan unfiltered;
  const Json all = prepare(unfiltered, "all").value().manifest.provenance["overlap"];
  unfiltered.resources.memory_bytes = 4000;
  EXPECT_EQ(prepare(unfiltered, "all-parts").value().manifest.provenance["overlap"], all);
  EXPECT_EQ(all["documents"], 6);
}

TEST_F(FilteredPreparation, LeavesOutADocumentOfWhichBlanksAreLeft) {
  write(training_[0], "  \n" + text(held_out_[0]) + " \n\n");
  EXPECT_THAT(trained_on(prepare(plan({"against:100:cut"})).value()), SizeIs(training_.size() - 1));
}

TEST_F(FilteredPreparation, LeavesNoScratchFiles) {
  ASSERT_TRUE(prepare(plan({"near", "repeats", "against"})));
  EXPECT_THAT(real_files().list(folder_.path()).value(),
              testing::UnorderedElementsAre("data", "plain", "text"));
}

TEST_F(FilteredPreparation, SaysWhenFiltersLeaveNothing) {
  std::string lines;
  for (const int i : training_)
    lines += fmt::format("{{\"document\": \"{:02}.txt\", \"score\": 1}}\n", i);
  write_text(folder_.path(), "scores.jsonl", lines);
  FilterPlan nothing = plan({"perplexity:lowest=0.001"});
  nothing.scores = folder_ / "scores.jsonl";

  const Result<Preparation> made = prepare(nothing);

  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::input);
  EXPECT_THAT(made.error().describe(), HasSubstr("the filters leave no document"));
}

TEST(FilterPlans, ThatCannotWorkAreRefusedBeforeAnyTextIsRead) {
  const auto said = [](const FilterPlan& plan) {
    std::string all;
    for (const Error& problem : check(plan)) all += problem.describe();
    return all;
  };
  FilterPlan ranks;
  ranks.steps = {parse_step("perplexity").value()};
  EXPECT_THAT(said(ranks), HasSubstr("needs something to judge by"));
  ranks.reference = "books";
  EXPECT_THAT(said(ranks), IsEmpty());
  ranks.reference_tokenizer = "words";
  EXPECT_THAT(said(ranks), HasSubstr("--reference-tokenizer"));
  ranks.scores = "scores.jsonl";
  EXPECT_THAT(said(ranks), HasSubstr("one must be chosen"));

  FilterPlan unused;
  unused.reference = "books";
  EXPECT_THAT(said(unused), HasSubstr("for the filter perplexity alone"));

  FilterPlan contradicts;
  contradicts.against = {"prose"};
  contradicts.count_overlap = false;
  EXPECT_THAT(said(contradicts), HasSubstr("--no-overlap-check"));
}

}  // namespace
}  // namespace ration::test
