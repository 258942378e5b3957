#include "train/pairs/choice_reader.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "train/products.h"
#include "train/small_models.h"

namespace ration::train {
namespace {

constexpr std::int64_t kContext = 90;

void add_prompt(PairList& list, std::vector<std::int32_t> tokens) {
  list.prompts.push_back({.tokens = std::move(tokens), .choices = {}});
}

void add_choice(PairList& list, std::size_t prompt, std::vector<std::int32_t> tokens) {
  list.prompts[prompt].choices.push_back(list.choices.size());
  list.choices.push_back(
      {.prompt = prompt, .tokens = std::move(tokens), .first = list.choice_tokens});
  list.choice_tokens += list.choices.back().tokens.size();
}

// A prompt of each length, and behind it choices of these lengths.
PairList list_of(const std::vector<std::pair<int, std::vector<int>>>& lengths, int vocab) {
  Stream stream(3, StreamId::documents);
  const auto drawn = [&](int length) {
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < length; ++i)
      tokens.push_back(static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(vocab))));
    return tokens;
  };
  PairList list;
  list.vocab = vocab;
  for (const auto& [prompt, choices] : lengths) add_prompt(list, drawn(prompt));
  for (std::size_t i = 0; i < lengths.size(); ++i)
    for (const int choice : lengths[i].second) add_choice(list, i, drawn(choice));
  return list;
}

// Prompts of one token, choices of one token, up to the end of the context, many choices, none.
PairList all_kinds(int vocab = 29) {
  return list_of({{1, {1, 5, 89}},
                  {17, {3}},
                  {40, {}},
                  {89, {1}},
                  {33, {50, 1, 2, 16, 17, 33, 57}},
                  {60, std::vector<int>(23, 9)},
                  {2, {4}}},
                 vocab);
}

// By the definition, the probabilities summed up here.
std::vector<double> by_hand(const Model& model, const PairList& list) {
  const c10::NoGradGuard no_gradients;
  std::vector<double> logp;
  for (const PairList::Choice& choice : list.choices) {
    std::vector<std::int64_t> all(list.prompts[choice.prompt].tokens.begin(),
                                  list.prompts[choice.prompt].tokens.end());
    const std::int64_t prompt = std::ssize(all);
    all.insert(all.end(), choice.tokens.begin(), choice.tokens.end());
    const at::Tensor tokens = at::tensor(all).narrow(0, 0, std::ssize(all) - 1).unsqueeze(0);
    const at::Tensor logits = model.logits(tokens)[0].to(at::kDouble).contiguous();
    for (std::int64_t t = 0; t < std::ssize(choice.tokens); ++t) {
      const double* row = logits.const_data_ptr<double>() + (prompt + t - 1) * logits.size(1);
      double total = 0;
      for (std::int64_t v = 0; v < logits.size(1); ++v) total += std::exp(row[v]);
      logp.push_back(row[choice.tokens[static_cast<std::size_t>(t)]] - std::log(total));
    }
  }
  return logp;
}

ChoiceScores scores(std::unique_ptr<Network> network,
                    const PairList& list,
                    std::int64_t batch_tokens = 2048) {
  return score_choices(
      *cached_reader(std::move(network), batch_tokens), list, batch_tokens, [](const auto&) {});
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    largest = difference <= largest ? largest : difference;  // NaN stays
  }
  return largest;
}

struct Kind {
  std::string name;
  run::RunSpec spec;
};

std::vector<Kind> kinds() {
  const auto kind =
      [](const char* called, const char* family, const char* mlp, const auto& change) {
        run::RunSpec spec = test::small_spec(family, mlp, kContext);
        spec.dropout = 0.5;  // must make no difference
        change(spec);
        return Kind{called, run::resolve(spec)};
      };
  return {kind("llama", "llama", "swiglu", [](run::RunSpec&) {}),
          kind("llama_untied_normed",
               "llama",
               "relu2",
               [](run::RunSpec& spec) { spec.tied = false, spec.qk_norm = true; }),
          kind("gpt2_biased", "gpt2", "gelu_tanh", [](run::RunSpec& spec) { spec.bias = true; }),
          kind("gpt2_normed", "gpt2", "gelu_erf", [](run::RunSpec& spec) { spec.qk_norm = true; }),
          kind("mup", "llama", "swiglu", [](run::RunSpec& spec) { spec.parametrisation = "mup"; })};
}

class EveryModel : public testing::TestWithParam<Kind> {};

// In double, so that a token or position that is off by one cannot hide.
TEST_P(EveryModel, IsReadAsInOnePassOfPromptAndChoice) {
  const run::RunSpec& spec = GetParam().spec;
  Model model(spec, at::kDouble);
  const PairList list = all_kinds();
  const std::vector<double> expected = by_hand(model, list);

  for (const std::int64_t batch : {1, 50, 200, 100'000})
    EXPECT_LT(largest_difference(
                  scores(cpu_network(spec, model.parameters(), Products::own), list, batch).logp,
                  expected),
              1e-10)
        << batch;
  for (const std::int64_t batch : {1, 200, 100'000})
    EXPECT_LT(
        largest_difference(
            scores(tensor_network(spec, model.parameters(), at::kCPU, at::kDouble), list, batch)
                .logp,
            expected),
        1e-10)
        << "by LibTorch's operators, " << batch;
  const std::unique_ptr<ChoiceReader> full = full_pass_reader(model);
  EXPECT_LT(largest_difference(score_choices(*full, list, 50, [](const auto&) {}).logp, expected),
            1e-10);
}

TEST_P(EveryModel, IsReadAsWellInSinglePrecision) {
  const run::RunSpec& spec = GetParam().spec;
  Model model(spec, at::kFloat);
  const PairList list = all_kinds();
  const std::vector<double> expected = by_hand(model, list);

  for (const Products products : {Products::own, Products::library})
    EXPECT_LT(
        largest_difference(scores(cpu_network(spec, model.parameters(), products), list, 200).logp,
                           expected),
        1e-4)
        << name(products);
  EXPECT_LT(
      largest_difference(
          scores(tensor_network(spec, model.parameters(), at::kCPU, at::kFloat), list, 200).logp,
          expected),
      1e-4);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryModel, testing::ValuesIn(kinds()), [](const auto& of) {
  return of.param.name;
});

// Probabilities between 0.1 and 1e-4, as of a model that has learned something.
TEST(ChoiceReader, ComesCloseWithProductsInBf16) {
  run::RunSpec spec = test::small_spec("llama", "swiglu", kContext);
  spec.init_std = 0.08;
  spec = run::resolve(spec);
  Model model(spec, at::kFloat);
  const PairList list = all_kinds();

  const std::vector<double> found =
      scores(tensor_network(spec, model.parameters(), at::kCPU, at::kBFloat16), list).logp;

  EXPECT_LT(largest_difference(found, by_hand(model, list)), 2e-2);
}

TEST(ChoiceReader, GivesAllChoicesOfTwoTokensTogetherTheProbabilityOne) {
  const run::RunSpec spec = run::resolve(test::small_spec("gpt2", "gelu_tanh", 12));
  Model model(spec, at::kDouble);
  PairList list = list_of({{7, {}}}, 29);
  for (std::int32_t first = 0; first < 29; ++first)
    for (std::int32_t second = 0; second < 29; ++second) add_choice(list, 0, {first, second});

  const std::vector<double> logp =
      scores(cpu_network(spec, model.parameters(), Products::own), list, 100).logp;

  double sum = 0;
  for (std::size_t i = 0; i < logp.size(); i += 2) sum += std::exp(logp[i] + logp[i + 1]);
  EXPECT_NEAR(sum, 1, 1e-12);
}

// Wide enough that products take the ways of large and of small operands.
class OneChoice : public testing::Test {
 protected:
  OneChoice() : spec_(spec()), model_(spec_, at::kFloat) {}

  static run::RunSpec spec() {
    run::RunSpec spec = test::small_spec("llama", "swiglu", kContext);
    spec.width = 80;
    spec.heads = 4;
    spec.vocab = 61;
    return run::resolve(spec);
  }
  std::vector<double> logp(const PairList& list, std::int64_t batch, Products products) {
    return scores(cpu_network(spec_, model_.parameters(), products), list, batch).logp;
  }
  // The largest difference between each choice in a list of its own and among all.
  double alone(const PairList& list, const std::vector<double>& together, Products products) {
    std::vector<double> single;
    for (const PairList::Choice& choice : list.choices) {
      PairList own;
      add_prompt(own, list.prompts[choice.prompt].tokens);
      add_choice(own, 0, choice.tokens);
      const std::vector<double> found = logp(own, 1, products);
      single.insert(single.end(), found.begin(), found.end());
    }
    return largest_difference(single, together);
  }

  run::RunSpec spec_;
  Model model_;
};

TEST_F(OneChoice, HasTheSameBitsWhateverIsReadWithIt) {
  const PairList list = all_kinds(61);
  const std::vector<double> together = logp(list, 100'000, Products::own);

  for (const std::int64_t batch : {1, 30, 64, 200})
    EXPECT_EQ(logp(list, batch, Products::own), together) << batch;
  EXPECT_EQ(alone(list, together, Products::own), 0);
}

TEST_F(OneChoice, HasTheSameBitsInAnyOrder) {
  const PairList list = all_kinds(61);
  PairList turned;
  for (auto prompt = list.prompts.rbegin(); prompt != list.prompts.rend(); ++prompt)
    add_prompt(turned, prompt->tokens);
  for (auto choice = list.choices.rbegin(); choice != list.choices.rend(); ++choice)
    add_choice(turned, list.prompts.size() - 1 - choice->prompt, choice->tokens);

  const std::vector<double> straight = logp(list, 200, Products::own);
  const std::vector<double> found = logp(turned, 200, Products::own);

  for (std::size_t i = 0; i < list.choices.size(); ++i) {
    const PairList::Choice& there = turned.choices[list.choices.size() - 1 - i];
    for (std::size_t t = 0; t < there.tokens.size(); ++t)
      EXPECT_EQ(found[there.first + t], straight[list.choices[i].first + t]) << i;
  }
}

TEST_F(OneChoice, HasTheSameBitsForAnyNumberOfThreads) {
  const PairList list = all_kinds(61);
  const std::vector<double> one = logp(list, 300, Products::own);

  at::set_num_threads(3);
  const std::vector<double> three = logp(list, 300, Products::own);
  at::set_num_threads(1);

  EXPECT_EQ(three, one);
}

// A library may sum in another order for other shapes: rounding of logits up to about 10.
TEST_F(OneChoice, DiffersByRoundingAloneWithALibrarysProducts) {
  const PairList list = all_kinds(61);

  EXPECT_LT(alone(list, logp(list, 100'000, Products::library), Products::library), 1e-5);
}

TEST(ChoiceReader, ReadsModelsOfRoutedExperts) {
  run::RunSpec spec = test::small_spec("llama", "swiglu", kContext);
  spec.router = "smear";
  spec.experts = 3;
  spec.expert_chunk = 8;
  spec = run::resolve(spec);
  Model model(spec, at::kDouble);
  const PairList list = all_kinds();

  const ChoiceScores full = score_choices(*full_pass_reader(model), list, 50, [](const auto&) {});

  EXPECT_LT(largest_difference(full.logp, by_hand(model, list)), 1e-10);
}

TEST(ChoiceReader, ReadsEachPromptAndEachChoiceOnce) {
  const run::RunSpec spec = run::resolve(test::small_spec("llama", "swiglu", kContext));
  Model model(spec, at::kFloat);
  const PairList list = list_of({{30, {5, 1, 7}}, {20, {}}, {10, {2}}}, 29);
  std::vector<std::size_t> choices;

  const auto reader = cached_reader(cpu_network(spec, model.parameters(), Products::own), 8);
  const ChoiceScores cached = score_choices(
      *reader, list, 8, [&](const ChoicesDone& done) { choices.push_back(done.choices); });
  const ChoiceScores full = score_choices(*full_pass_reader(model), list, 8, [](const auto&) {});

  EXPECT_EQ(cached.tokens_computed, 30 + 4 + 0 + 6 + 10 + 1);
  EXPECT_EQ(cached.tokens_alone, 34 + 30 + 36 + 11);
  EXPECT_EQ(full.tokens_computed, full.tokens_alone);
  EXPECT_EQ(full.tokens_alone, cached.tokens_alone);
  EXPECT_EQ(choices, (std::vector<std::size_t>{3, 4}));
}

}  // namespace
}  // namespace ration::train
