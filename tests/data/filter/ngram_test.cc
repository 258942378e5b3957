#include "data/filter/ngram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "data/filter/perplexity.h"
#include "data/filter/planted_corpus.h"

namespace ration::test {
namespace {

using namespace data::filter;
using Ids = std::vector<std::uint32_t>;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kVocab = 40, kEnd = 39, kStart = kVocab;

// Documents in which some tokens are much more frequent, and follow each other.
std::vector<Ids> random_documents(std::uint64_t seed, std::size_t count, std::size_t length) {
  Stream stream(seed, StreamId::bootstrap);
  std::vector<Ids> documents(count);
  for (Ids& ids : documents) {
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < length; ++i) {
      last =
          stream.below(3) == 0 ? std::min(stream.below(39), stream.below(39)) : (last * 7 + 3) % 20;
      ids.push_back(static_cast<std::uint32_t>(last));
    }
  }
  return documents;
}

NgramModel model_of_ids(const std::vector<Ids>& documents, int order) {
  NgramBuilder builder({order, kVocab, kEnd});
  for (const Ids& ids : documents) builder.add(ids);
  return std::move(builder).build().value();
}

// Interpolated modified Kneser-Ney straight from its definition, on maps.
class Definition {
 public:
  Definition(const std::vector<Ids>& documents, int order)
      : order_(order), counts_(static_cast<std::size_t>(order) + 1) {
    std::vector<std::map<Ids, std::set<std::uint32_t>>> before(counts_.size());
    for (const Ids& document : documents) {
      Ids text{kStart};
      text.insert(text.end(), document.begin(), document.end());
      text.push_back(kEnd);
      for (std::size_t end = 2; end <= text.size(); ++end)
        for (std::size_t n = 1; n <= static_cast<std::size_t>(order) && n <= end; ++n) {
          const auto from = text.begin() + static_cast<std::ptrdiff_t>(end - n);
          const Ids gram(from, text.begin() + static_cast<std::ptrdiff_t>(end));
          if (static_cast<int>(n) == order || n == end)
            ++counts_[n][gram];
          else
            before[n][gram].insert(*(from - 1));
        }
    }
    for (std::size_t n = 1; n < before.size(); ++n)
      for (const auto& [gram, tokens] : before[n])
        counts_[n][gram] = static_cast<int>(tokens.size());
  }

  double discount(int n, int count) const {
    if (count == 0) return 0;
    double of[5] = {};
    for (const auto& [gram, c] : counts_[static_cast<std::size_t>(n)])
      if (c <= 4) ++of[c];
    const int k = std::min(count, 3);
    const double y = of[1] / (of[1] + 2 * of[2]);
    const double d = k - (k + 1) * y * of[k + 1] / of[k];
    return y > 0 && d > 0 && d <= k ? d : k / 2.0;  // also where it is no number
  }

  double p(Ids history, std::uint32_t token) const {
    const int n = static_cast<int>(history.size()) + 1;
    double total = 0, left = 0;
    for (std::uint32_t w = 0; w < kVocab; ++w) {
      const int c = count(history, w);
      total += c;
      left += discount(n, c);
    }
    const Ids shorter(history.begin() + (history.empty() ? 0 : 1), history.end());
    const double below = history.empty() ? 1.0 / kVocab : p(shorter, token);
    if (total == 0) return below;
    const int c = count(history, token);
    return (c - discount(n, c)) / total + left / total * below;
  }

 private:
  int count(Ids gram, std::uint32_t token) const {
    gram.push_back(token);
    const auto& counts = counts_[gram.size()];
    const auto found = counts.find(gram);
    return found == counts.end() ? 0 : found->second;
  }

  int order_;
  std::vector<std::map<Ids, int>> counts_;
};

class NgramOrders : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Orders, NgramOrders, testing::Values(1, 2, 3, 5));

TEST_P(NgramOrders, AgreeWithTheDefinition) {
  const int order = GetParam();
  const std::vector<Ids> documents = random_documents(1, 40, 60);
  const NgramModel model = model_of_ids(documents, order);
  const Definition definition(documents, order);

  Stream stream(2, StreamId::bootstrap);
  for (int round = 0; round < 150; ++round) {
    const bool from_start = round % 3 == 0;
    const Ids text = round % 2 == 0 ? documents[stream.below(40)] : random_documents(7, 1, 60)[0];
    const std::size_t at = from_start ? stream.below(4) : 10 + stream.below(40);
    Ids history(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at));
    const auto token = static_cast<std::uint32_t>(stream.below(kVocab));
    Ids whole = history;
    if (from_start) whole.insert(whole.begin(), kStart);
    const std::size_t context = std::min(whole.size(), static_cast<std::size_t>(order - 1));

    EXPECT_NEAR(
        model.probability(history, token, from_start),
        definition.p(Ids(whole.end() - static_cast<std::ptrdiff_t>(context), whole.end()), token),
        1e-12);
  }
}

TEST_P(NgramOrders, GiveProbabilitiesThatAddUpToOne) {
  const std::vector<Ids> documents = random_documents(1, 40, 60);
  const NgramModel model = model_of_ids(documents, GetParam());

  for (std::uint64_t i = 0; i < 60; ++i) {
    const Ids seen = documents[i % 40], unseen = random_documents(100 + i, 1, 60)[0];
    for (const Ids& text : {seen, unseen, Ids{38, 38, 38, 38, 38}, Ids{kEnd, kEnd}}) {
      const Ids history(
          text.begin(),
          text.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(i, text.size())));
      double sum = 0;
      for (std::uint32_t token = 0; token < kVocab; ++token)
        sum += model.probability(history, token, i % 2 == 0);
      EXPECT_NEAR(sum, 1, 1e-9);
    }
  }
}

TEST_P(NgramOrders, ScoreADocumentAsTheProductOfItsProbabilities) {
  const std::vector<Ids> documents = random_documents(1, 40, 60);
  const NgramModel model = model_of_ids(documents, GetParam());
  const Ids text = random_documents(5, 1, 30)[0];

  double sum = 0;
  for (std::size_t i = 0; i <= text.size(); ++i)
    sum -= std::log(
        model.probability(std::span(text).first(i), i == text.size() ? kEnd : text[i], true));

  EXPECT_NEAR(model.negative_log(text), sum, 1e-9);
}

TEST(Ngrams, PredictWhatTheyLearnedFromBetterThanTheRest) {
  const std::vector<Ids> documents = random_documents(1, 200, 60);
  const NgramModel model = model_of_ids(documents, 5);
  double learned = 0, held_out = 0;

  for (const Ids& ids : documents) learned += model.negative_log(ids);
  for (const Ids& ids : random_documents(2, 200, 60)) held_out += model.negative_log(ids);

  EXPECT_LT(learned, 0.8 * held_out);
}

TEST(Ngrams, OfOneDocumentWithoutTextStillGiveProbabilities) {
  const NgramModel model = model_of_ids({Ids{}}, 5);
  double sum = 0;
  for (std::uint32_t token = 0; token < kVocab; ++token) sum += model.probability({}, token, true);

  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_TRUE(std::isfinite(model.negative_log(Ids{1, 2, 3})));
}

TEST(Ngrams, ComeBackFromTheirBytesAndDamageIsNoticed) {
  const NgramModel model = model_of_ids(random_documents(1, 40, 60), 4);
  const std::string bytes = model.bytes();
  const Ids text = random_documents(5, 1, 30)[0];

  EXPECT_EQ(NgramModel::from_bytes(bytes, "m").value().negative_log(text),
            model.negative_log(text));
  for (const std::size_t at : {std::size_t{3}, bytes.size() / 2, bytes.size() - 1}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(NgramModel::from_bytes(damaged, "m").error().kind, ErrorKind::input);
  }
  EXPECT_THAT(NgramModel::from_bytes(bytes.substr(0, 40), "m").error().what, HasSubstr("m is no"));
}

TEST(Ngrams, RefuseWhatTheyCannotModel) {
  EXPECT_EQ(NgramBuilder({5, kVocab, kEnd}).build().error().kind, ErrorKind::input);
  NgramBuilder outside({5, kVocab, kEnd});
  outside.add(Ids{kVocab});
  EXPECT_EQ(std::move(outside).build().error().kind, ErrorKind::input);
  NgramBuilder order({9, kVocab, kEnd});
  order.add(Ids{1});
  EXPECT_EQ(std::move(order).build().error().kind, ErrorKind::usage);
  NgramBuilder memory({5, kVocab, kEnd});
  for (const Ids& ids : random_documents(1, 40, 60)) memory.add(ids);
  EXPECT_EQ(std::move(memory).build(10'000).error().kind, ErrorKind::resource);
}

TEST(Ranks, KeepExactSharesAndTiesGoByDocument) {
  const std::vector<double> scores = {3, 1, 2, 1, 2, 9};
  const auto dropped = [&](double low, double high) {
    std::vector<std::size_t> out;
    for (const Change& change : drop_by_rank(scores, low, high)) out.push_back(change.document);
    return out;
  };

  EXPECT_THAT(dropped(0, .5), ElementsAre(0, 4, 5));  // 1, 3 and the first of the twos stay
  EXPECT_THAT(dropped(1 / 3., 1), ElementsAre(1, 3));
  EXPECT_THAT(dropped(.25, .75), ElementsAre(1, 3, 5));  // ranks 1.5 … 4.5, rounded up
}

TEST(RankCorrelation, IsSpearmans) {
  const std::vector<double> a = {1, 2, 3, 4, 5}, b = {5, 6, 7, 8, 7};
  EXPECT_NEAR(rank_correlation(a, b), 0.8207826817, 1e-9);  // ranks 1 2 3.5 5 3.5
  EXPECT_TRUE(std::isnan(rank_correlation(a, std::vector<double>(5, 1.0))));
}

// 1,000 documents of an order-2 language of words, a tenth of them with their words shuffled.
TEST(PerplexityFilter, RanksNoiseLast) {
  const auto sentence = [](std::uint64_t seed, bool shuffled) {
    Stream stream(seed, StreamId::bootstrap);
    const std::vector<std::string> words = drawn_words(1, 60);
    std::vector<std::string> text;
    std::uint64_t last = stream.below(60);
    for (int i = 0; i < 80; ++i) {
      last = (last * 3 + stream.below(3)) % 60;
      text.push_back(words[last]);
    }
    if (shuffled)
      for (std::size_t i = text.size(); i > 1; --i) std::swap(text[i - 1], text[stream.below(i)]);
    return joined(text);
  };
  std::vector<std::string> texts, reference, origins;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    texts.push_back(sentence(i, i % 10 == 7));
    origins.push_back(i % 10 == 7 ? "noise" : "text");
    reference.push_back(sentence(5000 + i, false));
  }
  PerplexityOptions options;
  options.high = 0.9;
  options.order = 5;
  const TextDocuments source(texts, origins);
  const auto tokenizer = data::byte_tokenizer();

  const FilterReport report =
      perplexity_filter(source, TextDocuments(reference), *tokenizer, options, {.threads = 1})
          .value();

  int noise = 0;
  for (const Change& change : report.changes) noise += change.document % 10 == 7;
  EXPECT_GT(noise, 95);
  EXPECT_EQ(report.documents_after, 900U);
  EXPECT_LT(report.figures["kept_by_origin"]["noise"]["documents_kept"], 5);
  EXPECT_EQ(perplexity_filter(source, TextDocuments(reference), *tokenizer, options, {.threads = 3})
                .value()
                .scores,
            report.scores);
}

TEST(PerplexityFilter, TakesShorterNgramsForASmallReferenceAndRecordsIt) {
  const TextDocuments reference({random_letters(1, 2000, 5)});
  const auto tokenizer = data::byte_tokenizer();

  const FilterReport report =
      perplexity_filter(TextDocuments({"abc", ""}), reference, *tokenizer, {}, {}).value();

  EXPECT_EQ(report.record["order"], 3);
  EXPECT_EQ(report.record["reference_sha256"], digest_of(reference).value());
  EXPECT_EQ(report.documents_after, 1U);
  EXPECT_EQ(perplexity_filter(TextDocuments({}), reference, *tokenizer, {}, {})->documents_after,
            0U);
}

}  // namespace
}  // namespace ration::test
