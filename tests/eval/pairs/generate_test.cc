#include "eval/pairs/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/json.h"
#include "eval/pairs/continuations.h"
#include "eval/pairs/pair_builder.h"
#include "eval/pairs/summary.h"
#include "eval/pairs/verbatim.h"

namespace ration::eval {
namespace {

using test::unigram_sums;

PairTask generated(std::int64_t items = 200, std::uint64_t seed = 0) {
  return parse_task(generate_pairs({.items = items, .seed = seed}), "generated.jsonl").value();
}

std::set<std::string> words(const std::string& text) {
  std::set<std::string> found;
  const std::string plain = normalised(text) + " ";
  for (std::size_t at = 0; at < plain.size();) {
    const std::size_t end = plain.find(' ', at);
    found.insert(plain.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

// Half the width of the binomial 99 % band round one half.
double band(std::size_t n) { return 2.576 * std::sqrt(0.25 / static_cast<double>(n)); }

TEST(GeneratedPairs, HaveFiveGroupsOfTheSizeAskedForAndShortDocuments) {
  const PairTask task = generated(40);

  ASSERT_EQ(task.groups.size(), kGenerated.size());
  for (std::size_t g = 0; g < kGenerated.size(); ++g) {
    EXPECT_EQ(task.groups[g].name, kGenerated[g]);
    EXPECT_EQ(task.groups[g].items, 40U);
  }
  for (const PairItem& item : task.items) {
    const std::size_t count = sentences(item.document).size();
    EXPECT_GE(count, 4U);
    EXPECT_LE(count, 8U);
  }
}

TEST(GeneratedPairs, AreTheirSeedsAloneAndFewerAreTheBeginningOfMore) {
  EXPECT_EQ(generate_pairs({.items = 9, .seed = 4}), generate_pairs({.items = 9, .seed = 4}));
  EXPECT_NE(generate_pairs({.items = 9, .seed = 4}), generate_pairs({.items = 9, .seed = 5}));
  const std::string more = generate_pairs({.items = 2}), one = generate_pairs({.items = 1});
  EXPECT_EQ(more.substr(0, more.find('\n')), one.substr(0, one.find('\n')));
}

TEST(GeneratedText, TellsThePairsDocumentsTwiceAndEachFactInOtherWords) {
  const PairTask task = generated(30, 3);
  const std::string lines = generate_text({.items = 30, .seed = 3});

  std::size_t at = 0;
  for (std::size_t i = 0; i < 30; ++i)
    for (std::size_t g = 0; g < kGenerated.size(); ++g) {
      const std::size_t end = lines.find('\n', at);
      const std::string text = Json::parse(lines.substr(at, end - at))["text"];
      at = end + 1;
      const std::string& document = task.items[g * 30 + i].document;
      ASSERT_TRUE(text.starts_with(document + " " + document + " "));
      const std::vector<std::string> once = sentences(document);
      const std::vector<std::string> more = sentences(text.substr(2 * document.size() + 1));
      EXPECT_EQ(more.size(), once.size());
      for (const std::string& sentence : more) {
        EXPECT_FALSE(normalised(sentence).starts_with("it "));
        EXPECT_EQ(std::count(once.begin(), once.end(), sentence), 0);
      }
    }
  EXPECT_EQ(at, lines.size());
}

TEST(GeneratedPairs, CopyOnlyWhereTheySaySo) {
  const PairTask task = generated();
  for (const PairItem& item : task.items) {
    EXPECT_EQ(item.verbatim, kGenerated[item.group] == "verbatim") << item.id;
    EXPECT_FALSE(copied(item.choices[item.label], item.document)) << item.id;
  }
}

TEST(GeneratedPairs, EveryOtherWrongValueStandsElsewhereInTheDocument) {
  const PairTask task = generated();
  std::map<std::string_view, std::size_t> within;
  for (const PairItem& item : task.items) {
    const std::set<std::string> document = words(item.document);
    const std::set<std::string> good = words(item.choices[item.label]);
    bool all = true;
    for (const std::string& word : words(item.choices[1 - item.label]))
      all = all && (good.contains(word) || document.contains(word));
    within[kGenerated[item.group]] += all ? 1 : 0;
  }
  for (const auto group : {"entity", "number", "date"})
    EXPECT_NEAR(static_cast<double>(within[group]), 100, 5) << group;
}

// Features of the choices alone, the document unseen: each must be no better than a coin.
TEST(GeneratedPairs, CannotBeToldByTheirChoicesAlone) {
  const PairTask task = generated(1000, 3);
  using Feature = double (*)(const std::string&);
  const std::map<std::string, Feature> features = {
      {"bytes", [](const std::string& text) { return static_cast<double>(text.size()); }},
      {"words", [](const std::string& text) { return static_cast<double>(words(text).size()); }},
      {"negation", [](const std::string& text) { return words(text).contains("not") ? 1.0 : 0.0; }},
      {"first letter of the last word",
       [](const std::string& text) { return static_cast<double>(text[text.rfind(' ') + 1]); }},
      {"vowels", [](const std::string& text) {
         double count = 0;
         for (const char c : text) count += std::string_view("aeiou").find(c) != std::string::npos;
         return count;
       }}};
  for (const auto& [name, feature] : features) {
    std::vector<double> credits(kGenerated.size());
    for (const PairItem& item : task.items)
      credits[item.group] += credit(feature(item.choices[0]), feature(item.choices[1]), item.label);
    for (std::size_t g = 0; g < kGenerated.size(); ++g)
      EXPECT_NEAR(credits[g] / 1000, 0.5, band(1000)) << name << " of " << kGenerated[g];
  }
}

// A word that stands in one kind of choice more often than in the other gives answers away.
TEST(GeneratedPairs, HaveNoWordThatGivesTheAnswerAway) {
  const PairTask task = generated(1000, 5);
  std::map<std::string, std::array<double, 2>> counts;
  for (const PairItem& item : task.items)
    for (std::size_t c = 0; c < 2; ++c)
      for (const std::string& word : words(item.choices[c]))
        counts[word][c == item.label ? 1 : 0] += 1;
  for (const auto& [word, count] : counts) {
    const double n = count[0] + count[1];
    if (n < 50) continue;
    // Some 200 words are tried: four deviations leave one false alarm in 80 seeds.
    EXPECT_NEAR(count[1] / n, 0.5, 4 * std::sqrt(0.25 / n)) << word;
  }
}

TEST(GeneratedPairs, ACounterOfWordsPrefersTheConsistentWhereTheWrongValueIsAbsent) {
  const PairTask task = generated();
  const ItemSums sums = unigram_sums(task, {0});
  std::size_t absent = 0;
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    const PairItem& item = task.items[i];
    const std::string_view group = kGenerated[item.group];
    if (group == "verbatim" || group == "negation") continue;
    const std::set<std::string> document = words(item.document);
    const std::set<std::string> good = words(item.choices[item.label]);
    bool missing = false;
    for (const std::string& word : words(item.choices[1 - item.label]))
      missing = missing || (!good.contains(word) && !document.contains(word));
    if (!missing) continue;
    ++absent;
    const ChoiceSums& right = sums[i][0][item.label];
    const ChoiceSums& wrong = sums[i][0][1 - item.label];
    for (const Score score : {Score::sum, Score::avg, Score::pmi, Score::avg_pmi})
      EXPECT_GT(score_of(right, score, false), score_of(wrong, score, false))
          << item.id << " " << name_of(score);
  }
  EXPECT_GT(absent, 270U);
}

TEST(GeneratedPairs, ACounterOfWordsPrefersTheCopy) {
  const PairTask task = generated();
  const ItemSums sums = unigram_sums(task, {0});

  const ScoreSummary summary = summarise(task, sums, Score::sum, false, {.draws = 100});

  EXPECT_LT(summary.groups[4].prompts[0].value, 0.1);
}

TEST(Continuations, GoOnWithTheirDocumentAndTheOthersWithAnother) {
  std::vector<std::string> documents;
  for (char name = 'a'; name < 'g'; ++name) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += std::string(1, name) + "word" + std::to_string(i) + " ";
    documents.push_back(text);
  }

  const std::string lines =
      continuation_pairs(documents, {.items = 10, .document_bytes = 50, .choice_bytes = 30})
          .value();

  const PairTask task = parse_task(lines, "c.jsonl").value();
  ASSERT_EQ(task.items.size(), 10U);
  EXPECT_EQ(task.documents, 10U);
  for (const PairItem& item : task.items) {
    const std::string& right = item.choices[item.label];
    const std::string& wrong = item.choices[1 - item.label];
    const std::string& source = documents[static_cast<std::size_t>(item.document[0] - 'a')];
    EXPECT_NE(source.find(item.document + " " + right), std::string::npos);
    EXPECT_NE(wrong[0], right[0]);
    EXPECT_NEAR(static_cast<double>(wrong.size()), static_cast<double>(right.size()), 8);  // a word
  }
  EXPECT_EQ(lines,
            continuation_pairs(documents, {.items = 10, .document_bytes = 50, .choice_bytes = 30})
                .value());
}

TEST(Continuations, NeedTwoDocumentsThatAreLongEnough) {
  const std::vector<std::string> documents = {std::string(500, 'x') + " yes", "short"};

  EXPECT_EQ(continuation_pairs(documents, {}).error().kind, ErrorKind::input);
  EXPECT_EQ(continuation_pairs({}, {}).error().kind, ErrorKind::input);
}

}  // namespace
}  // namespace ration::eval
