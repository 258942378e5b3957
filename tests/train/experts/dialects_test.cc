// Six dialects that a router can tell apart by their symbols: merged experts must learn what a
// single MLP, experts by a coarse and noisy tag, and experts by the best weight do not.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/random.h"
#include "run/count.h"
#include "run/run.h"
#include "train/adamw.h"
#include "train/experts/specialisation.h"
#include "train/model.h"
#include "train/step.h"

namespace ration::train::experts {
namespace {

constexpr std::int64_t kDialects = 6, kSymbols = 48, kBlock = kSymbols / kDialects;
constexpr std::int64_t kPositions = 64, kPrefix = 16;
constexpr std::int64_t kSteps = 700, kSequences = 64, kHeldOut = 1024;
constexpr std::array<std::uint64_t, 5> kSeeds = {0, 1, 2, 3, 4};

enum class Symbols { own, same };

// The next symbol is that of the dialect's own permutation with probability 3/4, else one of its
// block, or, of dialects of the same symbols, one of all: these differ in what follows what alone.
// The tag tells pairs of dialects apart and is redrawn in a quarter of the sequences.
class Dialects {
 public:
  Dialects(std::uint64_t seed, Symbols symbols) : seed_(seed), symbols_(symbols) {
    for (std::uint64_t c = 0; c < kDialects; ++c)
      next_.push_back(permutation(kSymbols, {seed, StreamId::labels, c}));
  }

  struct Drawn {
    Batch batch;
    std::vector<std::int64_t> dialects;
  };

  // The same number, the same sequences.
  Drawn draw(std::int64_t sequences, std::uint64_t number) const {
    Stream stream(seed_, StreamId::windows, number);
    const auto below = [&](std::int64_t n) {
      return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(n)));
    };
    at::Tensor tokens = at::empty({sequences, kPositions + 1}, at::kLong);
    at::Tensor tags = at::empty({sequences}, at::kLong);
    std::vector<std::int64_t> dialects;
    auto* to = tokens.data_ptr<std::int64_t>();
    for (std::int64_t b = 0; b < sequences; ++b) {
      const std::int64_t c = below(kDialects);
      dialects.push_back(c);
      tags.data_ptr<std::int64_t>()[b] = stream.uniform() < 0.25 ? below(3) : c / 2;
      const auto any = [&] {
        return symbols_ == Symbols::own ? kBlock * c + below(kBlock) : below(kSymbols);
      };
      std::int64_t symbol = any();
      for (std::int64_t t = 0; t <= kPositions; ++t) {
        *to++ = symbol;
        symbol = stream.uniform() < 0.75
                     ? next_[static_cast<std::size_t>(c)][static_cast<std::size_t>(symbol)]
                     : any();
      }
    }
    return {.batch = {.inputs = tokens.narrow(1, 0, kPositions).contiguous(),
                      .targets = tokens.narrow(1, 1, kPositions).contiguous(),
                      .sources = tags},
            .dialects = std::move(dialects)};
  }

 private:
  std::uint64_t seed_;
  Symbols symbols_;
  std::vector<std::vector<std::uint32_t>> next_;
};

run::RunSpec dialect_spec(const std::string& router, std::uint64_t seed, std::int64_t layers = 1) {
  run::RunSpec spec;
  spec.family = "gpt2";
  spec.layers = layers;
  spec.width = 24;
  spec.heads = 1;
  spec.mlp_width = 24;
  spec.context = kPositions;
  spec.vocab = kSymbols;
  spec.tied = true;
  spec.tokens = kSteps * kSequences * kPositions;
  spec.batch_sequences = kSequences;
  spec.weight_decay = 0.01;
  spec.seed = static_cast<std::int64_t>(seed);
  spec.router = router;
  spec.experts = router == "tag" ? 3 : router == "dselect" ? 8 : kDialects;
  spec.expert_mode = "prefix";
  spec.expert_chunk = kPrefix;
  if (router == "top1") spec.router_balance = 0.01;
  if (router == "tag") {
    spec.aux = std::string(64, 'a') + ":1:0:0," + std::string(64, 'b') + ":1:0:0";
    spec.aux_share = 0.5;
  }
  return run::resolve(spec);
}

struct Trained {
  double loss = 0;         // nats, held-out, behind the prefix
  double information = 0;  // of the routing about the dialect
  double largest = 0;      // share of the expert that is used most
};

double heldout_loss(const Model& model, const Batch& batch) {
  std::vector<double> losses(static_cast<std::size_t>(batch.tokens()));
  model.passes().token_losses(batch.rows(0, batch.sequences()), losses);
  return at::tensor(losses, at::kDouble)
      .view(batch.inputs.sizes())
      .narrow(1, kPrefix, kPositions - kPrefix)
      .mean()
      .item<double>();
}

// The information is that of the last layer's routing.
Trained train(const std::string& router,
              std::uint64_t seed,
              Symbols symbols = Symbols::own,
              std::int64_t layers = 1) {
  const run::RunSpec spec = dialect_spec(router, seed, layers);
  const Dialects dialects(seed, symbols);
  Model model(spec, at::kFloat);
  AdamW optimiser(spec, model.parameters());
  for (std::int64_t step = 0; step < kSteps; ++step)
    train_step(model,
               optimiser,
               dialects.draw(kSequences, static_cast<std::uint64_t>(step)).batch,
               {.lr = 3e-3, .clip = 1, .step = step});

  const c10::InferenceMode no_gradients;
  const Dialects::Drawn heldout = dialects.draw(kHeldOut, kSteps);
  Trained result{.loss = heldout_loss(model, heldout.batch)};
  if (router == "dense" || router == "tag") return result;
  const auto routings =
      model.routings(heldout.batch.inputs, {.sources = heldout.batch.sources, .end_token = -1});
  const at::Tensor p = routings.layers.back().weights.to(at::kDouble).contiguous();
  RoutedUnits units{.experts = spec.experts};
  units.weights.assign(p.const_data_ptr<double>(), p.const_data_ptr<double>() + p.numel());
  units.sources = heldout.dialects;
  for (std::int64_t b = 0; b < kHeldOut; ++b) units.sequences.push_back(b);
  result.information = normalised_information(units);
  const std::vector<double> mean = mean_weights(units);
  result.largest = *std::max_element(mean.begin(), mean.end());
  return result;
}

struct Interval {
  double mean = 0, half_width = 0;  // two-sided, 95 %
};

Interval paired(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double kStudent4 = 2.776;  // 97.5 % quantile, 4 degrees of freedom
  const auto n = static_cast<double>(a.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] - b[i];
  for (std::size_t i = 0; i < a.size(); ++i) squares += std::pow(a[i] - b[i] - sum / n, 2);
  return {.mean = sum / n, .half_width = kStudent4 * std::sqrt(squares / (n - 1) / n)};
}

TEST(Dialects, AreLearnedBetterByMergedExpertsThanByOneOrByTagsOrByTheBest) {
  std::map<std::string, std::vector<double>> losses;
  for (const std::string router : {"dense", "tag", "top1", "smear"})
    for (const std::uint64_t seed : kSeeds) {
      const Trained trained = train(router, seed);
      losses[router].push_back(trained.loss);
      fmt::print("{:<6} seed {}  {:.3f} nats  information {:.2f}\n",
                 router,
                 seed,
                 trained.loss,
                 trained.information);
      std::fflush(stdout);
    }

  for (const std::string other : {"tag", "dense", "top1"}) {
    const Interval difference = paired(losses["smear"], losses[other]);
    fmt::print("smear - {}: {:.3f} +- {:.3f}\n", other, difference.mean, difference.half_width);
    EXPECT_LT(difference.mean + difference.half_width, 0) << other;
  }
}

// Sure codes have no gradient: an entropy that counts before experts differ ends in one for all.
TEST(Dialects, AreToldApartByDselect) {
  const Trained trained = train("dselect", 0);

  EXPECT_LT(trained.largest, 0.5);
  EXPECT_GT(trained.information, 0.5);
}

// A router sees means of states, and the symbols alone tell nothing here. What attention adds to
// the states does, less in a first layer than in a second.
TEST(Dialects, OfTheSameSymbolsAreToldApartLess) {
  for (const std::uint64_t seed : {0, 1, 2}) {
    const auto shown = [&](const std::string& router, std::int64_t layers) {
      const Trained trained = train(router, seed, Symbols::same, layers);
      fmt::print("same symbols, {} layers, {:<6} seed {}  {:.3f} nats  information {:.2f}\n",
                 layers,
                 router,
                 seed,
                 trained.loss,
                 trained.information);
      std::fflush(stdout);
      return trained;
    };
    const Trained smear = shown("smear", 1);

    EXPECT_LT(smear.loss, shown("dense", 1).loss);
    EXPECT_LT(smear.loss, shown("tag", 1).loss);
    EXPECT_LT(smear.information, 0.7);
    EXPECT_GT(shown("smear", 2).information, smear.information);
  }
}

// One merged expert for 48 of 64 tokens, and one shared by all.
TEST(Dialects, CostWithinAnEighthOfASingleExpert) {
  const auto flops = [](const std::string& router) {
    return run::flops_per_token(dialect_spec(router, 0), run::FlopConvention::exact).value;
  };

  EXPECT_LT(flops("smear"), 1.12 * flops("dense"));
}

}  // namespace
}  // namespace ration::train::experts
