// The layer against loops over units and experts, and what must hold whatever the weights are.

#include "train/experts/layer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "train/adamw.h"
#include "train/experts/small_experts.h"
#include "train/model.h"

namespace ration::train::experts {
namespace {

using test::expert_spec;

// One layer with its parameters, states and input of 3 sequences.
struct Subject {
  explicit Subject(const run::RunSpec& one, std::int64_t end_token = -1)
      : spec(one), parameters(spec, at::kDouble), layer(spec, parameters, 0) {
    test::sharpen_routers(parameters);
    const auto wave = [&](double phase) {
      const at::Tensor index = at::arange(3 * spec.context * spec.width, at::kDouble);
      return at::sin(index * 0.37 + phase + at::cos(index * 1.7))
          .view({3, spec.context, spec.width});
    };
    h = wave(0.3), x = wave(1.1);
    const train::Batch batch = test::batch_of(spec, 3, spec.context);
    places = places_of(spec,
                       batch.inputs,
                       {.sources = at::arange(3, at::kLong), .end_token = end_token},
                       at::kDouble);
  }

  at::Tensor value(const std::string& name) const { return parameters.at(name).value.detach(); }
  at::Tensor of_expert(std::int64_t e, const std::string& name) const {
    return value(fmt::format("h0.experts.{}.{}", e, name));
  }
  at::Tensor output(const Intervention* intervention = nullptr,
                    const BatchPlace* training = nullptr) const {
    return layer.forward(h, x, places, training, intervention).y.detach();
  }

  run::RunSpec spec;
  Parameters parameters;
  Layer layer;
  at::Tensor h, x;
  Places places;
};

// Expert of merged weights on rows x [n,d], written once more: kind ffn with GELU.
at::Tensor merged_ffn(const Subject& s, const at::Tensor& p, const at::Tensor& rows) {
  at::Tensor up = at::zeros_like(s.of_expert(0, "up.w")),
             down = at::zeros_like(s.of_expert(0, "down.w"));
  for (std::int64_t e = 0; e < s.spec.experts; ++e) {
    up += p[e] * s.of_expert(e, "up.w");
    down += p[e] * s.of_expert(e, "down.w");
  }
  return at::gelu(rows.matmul(up.t()), "tanh").matmul(down.t());
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(ExpertLayer, MergesAnExpertForEachUnitOfEachSequence) {
  const Subject s(expert_spec("smear"), test::kEndToken);
  const Routed routed = s.layer.forward(s.h, s.x, s.places, nullptr);
  const at::Tensor alike = at::full({4}, 0.25, at::kDouble);

  at::Tensor want = at::empty_like(s.x);
  for (std::int64_t b = 0; b < 3; ++b)
    for (std::int64_t t = 0; t < 20; ++t) {
      const at::Tensor p = t < 8 ? alike : routed.routing.weights[b][t < 16 ? 0 : 1].detach();
      want[b][t] = merged_ffn(s, p, s.x[b][t].unsqueeze(0))[0];
    }

  EXPECT_LT(distance(routed.y, want), 1e-12);
}

TEST(ExpertLayer, RoutesByTheNormedMeanOfWhatStandsBeforeTheUnit) {
  const Subject s(expert_spec("smear"));
  const Routing routing = s.layer.router().route(s.h, s.places, nullptr);
  const auto normed = [&](const at::Tensor& row) {
    const at::Tensor centred = row - row.mean();
    return centred / at::sqrt(centred.square().mean() + s.spec.norm_eps);
  };

  for (std::int64_t b = 0; b < 3; ++b)
    for (std::int64_t k = 1; k <= 2; ++k) {
      const at::Tensor state = normed(s.h[b].narrow(0, 0, 8 * k).mean(0));
      at::Tensor logits = at::empty({4}, at::kDouble);
      for (std::int64_t e = 0; e < 4; ++e)
        logits[e] = (state * 0.5 * normed(s.value("h0.router.columns.w")[e])).sum();
      EXPECT_LT(distance(routing.weights[b][k - 1], at::softmax(logits, 0)), 1e-12);
    }
}

TEST(ExpertLayer, ReadsTheCurrentDocumentOnceAChunkOfItIsThere) {
  run::RunSpec spec = expert_spec("smear");
  spec.context = 32;
  at::Tensor tokens = at::ones({2, 32}, at::kLong);
  tokens[0][8] = test::kEndToken;   // a document from 9 on: 7 of it before 16, 15 before 24
  tokens[1][15] = test::kEndToken;  // one from 16 on: none before 16, 8 before 24

  const Places places = places_of(spec, tokens, {.end_token = test::kEndToken}, at::kDouble);

  ASSERT_EQ(places.units, 3);  // from 8, 16 and 24 on
  EXPECT_TRUE(
      places.known.equal(at::tensor({1, 0, 1, 1, 0, 1}, at::kLong).to(at::kBool).view({2, 3})));
  at::Tensor want = at::zeros({32}, at::kDouble);
  want.narrow(0, 9, 15).fill_(1.0 / 15);
  EXPECT_TRUE(places.read[0][2].equal(want));
  EXPECT_EQ(places.read[1][2].narrow(0, 16, 8).sum().item<double>(), 1);
  EXPECT_EQ(places.read[0][1].abs().sum().item<double>(), 0);
}

TEST(ExpertLayer, PrefixModeRoutesAllThatFollowsByTheFirstChunk) {
  run::RunSpec spec = expert_spec("smear");
  spec.expert_mode = "prefix";
  const Subject s(spec);
  const Subject chunks(expert_spec("smear"));

  const at::Tensor p = s.layer.router().route(s.h, s.places, nullptr).weights;

  ASSERT_EQ(s.places.units, 1);
  EXPECT_EQ(s.places.bands[1].length, 12);
  const at::Tensor first = chunks.layer.router().route(s.h, chunks.places, nullptr).weights;
  EXPECT_LT(distance(p, first.narrow(1, 0, 1)), 1e-15);
}

TEST(ExpertLayer, WithOneLinearMapMergingIsMixing) {
  const auto output = [](const std::string& router, bool same_first) {
    Subject s(expert_spec(router));
    if (same_first)
      for (std::int64_t e = 1; e < 4; ++e) s.of_expert(e, "up.w").copy_(s.of_expert(0, "up.w"));
    return s.output();
  };

  EXPECT_LT(distance(output("smear", true), output("ensemble", true)), 1e-12);
  EXPECT_GT(distance(output("smear", false), output("ensemble", false)), 1e-2);
}

TEST(ExpertLayer, EnsembleWeighsTheOutputsOfAllExperts) {
  const Subject s(expert_spec("ensemble"));
  const Routed routed = s.layer.forward(s.h, s.x, s.places, nullptr);

  at::Tensor want = at::zeros_like(s.x);
  for (std::int64_t b = 0; b < 3; ++b)
    for (std::int64_t t = 0; t < 20; ++t)
      for (std::int64_t e = 0; e < 4; ++e) {
        at::Tensor one = at::zeros({4}, at::kDouble);
        one[e] = 1;
        const at::Tensor p = t < 8 ? at::full({}, 0.25, at::kDouble)
                                   : routed.routing.weights[b][t < 16 ? 0 : 1][e].detach();
        want[b][t] += p * merged_ffn(s, one, s.x[b][t].unsqueeze(0))[0];
      }

  EXPECT_LT(distance(routed.y, want), 1e-12);
}

TEST(ExpertLayer, OfIdenticalExpertsIsOneExpertWhateverTheWeights) {
  for (const std::string router : {"smear", "ensemble", "dselect", "skills", "random", "tag"}) {
    Subject s(expert_spec(router));
    for (std::int64_t e = 1; e < 4; ++e)
      for (const std::string name : {"up.w", "down.w"})
        s.of_expert(e, name).copy_(s.of_expert(0, name));
    const BatchPlace place{};
    const at::Tensor one = at::tensor({1., 0., 0., 0.}, at::kDouble);

    EXPECT_LT(distance(s.output(nullptr, &place), merged_ffn(s, one, s.x)), 1e-12) << router;
  }
}

TEST(ExpertLayer, WithAllWeightOnOneExpertIsThatExpert) {
  const Subject s(expert_spec("smear"));
  at::Tensor one = at::zeros({4}, at::kDouble);
  one[2] = 1;
  const Intervention third{.weights = one.view({1, 4})};

  const at::Tensor y = s.output(&third).narrow(1, 8, 12);

  EXPECT_LT(distance(y, merged_ffn(s, one, s.x.narrow(1, 8, 12))), 1e-14);
}

TEST(ExpertLayer, DoesNotDependOnTheOrderOfExperts) {
  Subject s(expert_spec("smear"));
  const at::Tensor before = s.output();
  const at::Tensor order = at::tensor({2, 0, 3, 1}, at::kLong);
  at::Tensor columns = s.value("h0.router.columns.w");
  columns.copy_(columns.index_select(0, order));
  for (const std::string name : {"up.w", "down.w"}) {
    std::vector<at::Tensor> old;
    for (std::int64_t e = 0; e < 4; ++e) old.push_back(s.of_expert(e, name).clone());
    for (std::int64_t e = 0; e < 4; ++e)
      s.of_expert(e, name).copy_(old[static_cast<std::size_t>(order[e].item<std::int64_t>())]);
  }

  EXPECT_LT(distance(s.output(), before), 1e-12);
}

TEST(ExpertLayer, DropsWeightsInTrainingAndKeepsADistribution) {
  run::RunSpec spec = expert_spec("smear");
  spec.expert_dropout = 0.5;
  const Subject s(spec);
  const at::Tensor p = s.layer.router().route(s.h, s.places, nullptr).weights;
  std::int64_t zeros = 0, alike = 0;
  constexpr int kSteps = 200;
  for (int step = 0; step < kSteps; ++step) {
    const BatchPlace place{.step = step};
    const at::Tensor got = s.layer.router().route(s.h, s.places, &place).weights;
    EXPECT_LT(distance(got.sum(-1), at::ones({3, 2}, at::kDouble)), 1e-12);
    EXPECT_GE(got.min().item<double>(), 0);
    zeros += got.lt(1e-6).sum().item<std::int64_t>();
    alike += got.sub(0.25).abs().lt(1e-6).all(-1).sum().item<std::int64_t>();
  }
  const double units = 6.0 * kSteps;

  // All four are dropped in 1/16 of the units, which become uniform; the rest lose 3.5/8 of them.
  EXPECT_NEAR(static_cast<double>(alike) / units, 1.0 / 16, 4 * std::sqrt(0.06 / units));
  EXPECT_NEAR(static_cast<double>(zeros) / (4 * units), 0.5 - 1.0 / 16, 0.03);
}

// d/dvalue of sum(y * wave) by differences; at places spread over the tensor.
void expect_gradient_by_differences(const at::Tensor& value,
                                    const at::Tensor& gradient,
                                    const std::function<double()>& compute,
                                    const std::string& what) {
  const at::Tensor flat = value.detach().view(-1), derived = gradient.reshape(-1);
  const std::int64_t stride = std::max<std::int64_t>(1, flat.numel() / 5);
  for (std::int64_t i = 0; i < flat.numel(); i += stride) {
    constexpr double kStep = 1e-5;
    const double there = flat[i].item<double>();
    flat[i] = there + kStep;
    const double above = compute();
    flat[i] = there - kStep;
    const double below = compute();
    flat[i] = there;
    const double want = (above - below) / (2 * kStep);
    EXPECT_NEAR(derived[i].item<double>(), want, 1e-6 * (1 + std::abs(want))) << what << " " << i;
  }
}

TEST(ExpertLayer, HasTheGradientThatDifferencesShow) {
  for (const std::string kind : {"ffn", "adapter", "lowrank"})
    for (const std::string router : {"smear", "ensemble", "dselect", "skills"}) {
      Subject s(expert_spec(router, kind), test::kEndToken);
      const BatchPlace place{.step = 2};
      const at::Tensor weight = at::cos(at::arange(s.x.numel(), at::kDouble)).view(s.x.sizes());
      const auto compute = [&] {
        const at::NoGradGuard none;
        return (s.layer.forward(s.h, s.x, s.places, &place).y * weight).sum().item<double>();
      };
      s.h.set_requires_grad(true), s.x.set_requires_grad(true);
      s.parameters.grads().zero_();
      (s.layer.forward(s.h, s.x, s.places, &place).y * weight).sum().backward();

      for (const auto& entry : s.parameters.entries())
        if (entry.shape.name.find("experts") != std::string::npos ||
            entry.shape.name.find("router") != std::string::npos)
          expect_gradient_by_differences(
              entry.value, entry.grad, compute, router + " " + kind + " " + entry.shape.name);
      expect_gradient_by_differences(s.x, s.x.grad(), compute, router + " x");
      if (s.h.grad().defined())
        expect_gradient_by_differences(s.h, s.h.grad(), compute, router + " h");
    }
}

TEST(ExpertLayer, HasTheGradientOfTheWeightsThatDifferencesShow) {
  Subject s(expert_spec("smear"));
  Intervention given{.weights = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble).view({1, 4})};
  given.weights.set_requires_grad(true);
  const auto sum = [&] { return s.layer.forward(s.h, s.x, s.places, nullptr, &given).y.sum(); };
  sum().backward();

  expect_gradient_by_differences(
      given.weights, given.weights.grad(), [&] { return sum().item<double>(); }, "p");
}

TEST(ExpertRouter, TopOneScalesTheBestExpertByItsWeight) {
  const Subject s(expert_spec("top1"));
  const Routed routed = s.layer.forward(s.h, s.x, s.places, nullptr);

  const at::Tensor best = std::get<0>(routed.routing.soft.max(-1));
  EXPECT_TRUE(routed.routing.weights.argmax(-1).equal(routed.routing.soft.argmax(-1)));
  for (std::int64_t b = 0; b < 3; ++b) {
    const at::Tensor want =
        best[b][0] * merged_ffn(s, routed.routing.weights[b][0], s.x[b].narrow(0, 8, 8));
    EXPECT_LT(distance(routed.y[b].narrow(0, 8, 8), want), 1e-12);
  }
}

TEST(ExpertRouter, TagsChooseByTheSourceAndTheWholeSequence) {
  const Subject s(expert_spec("tag"));

  for (std::int64_t b = 0; b < 3; ++b) {
    at::Tensor one = at::zeros({4}, at::kDouble);
    one[b] = 1;
    EXPECT_LT(distance(s.output()[b], merged_ffn(s, one, s.x[b])), 1e-13);
  }
}

TEST(ExpertRouter, RandomExpertsAreAveragedAtEvaluation) {
  const Subject s(expert_spec("random"));
  const at::Tensor alike = at::full({4}, 0.25, at::kDouble);
  const BatchPlace place{.step = 1};

  EXPECT_LT(distance(s.output(), merged_ffn(s, alike, s.x)), 1e-12);
  const Routing drawn = s.layer.router().route(s.h, s.places, &place);
  EXPECT_EQ(drawn.weights.max().item<double>(), 1);
  EXPECT_TRUE(drawn.second.sum(-1).equal(at::ones({3, 1}, at::kDouble)));
}

TEST(ExpertRouter, ReinforceDrawsByTheProbabilities) {
  const Subject s(expert_spec("reinforce"));
  const at::Tensor p = s.layer.router().route(s.h, s.places, nullptr).soft.detach();
  at::Tensor counts = at::zeros_like(p);
  constexpr int kDraws = 2000;
  for (int step = 0; step < kDraws; ++step) {
    const BatchPlace place{.step = step};
    counts += s.layer.router().route(s.h, s.places, &place).weights.detach();
  }

  EXPECT_LT(distance(counts / kDraws, p), 4 * 0.5 / std::sqrt(kDraws));
}

// The estimate's mean over all choices is the gradient of the expected loss.
TEST(ExpertRouter, ReinforceIsTheGradientOfTheExpectedLoss) {
  const Subject s(expert_spec("reinforce"));
  const at::Tensor logits = at::tensor({0.3, -0.2, 0.9, 0.1}, at::kDouble).set_requires_grad(true);
  const at::Tensor losses = at::tensor({2.0, 0.5, 1.0, 4.0}, at::kDouble);
  const at::Tensor p = at::softmax(logits, 0);
  (p * losses).sum().backward();
  const at::Tensor want = logits.grad().clone();
  Places one{.sequences = 1, .positions = 3};
  one.bands = {{.first = 0, .length = 1, .routed = false}, {.first = 1, .length = 2}};
  one.units = 1;
  one.known = at::ones({1, 1}, at::kBool);

  at::Tensor mean = at::zeros({4}, at::kDouble);
  for (std::int64_t e = 0; e < 4; ++e) {
    logits.mutable_grad().zero_();
    const at::Tensor fresh = at::softmax(logits, 0);
    const Routing routing{.soft = fresh.view({1, 1, 4}),
                          .log_chosen = at::log(fresh[e]).view({1, 1}),
                          .expected_loss = at::full({1, 1}, 0.7, at::kDouble)};
    at::Tensor token_losses = at::full({1, 3}, 100, at::kDouble);  // position 0: not the unit's
    token_losses.narrow(1, 1, 2).copy_(losses[e].expand({1, 2}));
    s.layer.router().penalty(routing, one, token_losses).backward();
    mean += p[e].detach() * logits.grad() / 2;  // two tokens
  }

  EXPECT_LT(distance(mean, want), 1e-12);
}

// Differences of Gumbel numbers are logistic, of variance pi^2 / 3.
TEST(ExpertRouter, GumbelsTemperatureFallsExponentiallyFromTenToAHalf) {
  const Subject s(expert_spec("st_gumbel"));  // of 10 steps
  const at::Tensor logits = at::log(s.layer.router().route(s.h, s.places, nullptr).soft.detach());
  const auto temperature = [&](std::int64_t step) {
    double squares = 0, count = 0;
    for (std::int64_t batch = 0; batch < 400; ++batch) {
      const BatchPlace place{.step = step, .first_sequence = 3 * batch};
      const Routing routing = s.layer.router().route(s.h, s.places, &place);
      EXPECT_LT(distance(routing.scale, at::ones_like(routing.scale)), 1e-12);
      const at::Tensor found = at::log(routing.soft.detach());
      for (const std::int64_t e : {0, 2}) {
        const at::Tensor noisy = found.select(-1, e) - found.select(-1, e + 1);
        const at::Tensor own = logits.select(-1, e) - logits.select(-1, e + 1);
        // (own + logistic) / tau: the mean square tells tau.
        squares += noisy.square().sum().item<double>() /
                   (own.square().mean().item<double>() + M_PI * M_PI / 3);
        count += static_cast<double>(noisy.numel());
      }
    }
    return 1 / std::sqrt(squares / count);
  };

  // 4800 squares of a logistic number, of kurtosis 4.2: the root is right within 1.3 %.
  for (const std::int64_t step : {0, 3, 6, 9}) {
    const double want = 10 * std::pow(0.05, static_cast<double>(step) / 9);
    EXPECT_NEAR(temperature(step), want, 0.06 * want) << step;
  }
}

TEST(ExpertRouter, DselectsEntropyCountsMoreAndMoreUntilTheMiddleOfTheRun) {
  run::RunSpec spec = expert_spec("dselect");
  spec.tokens = 4 * 20 * 21;  // 21 steps
  const Subject s(run::resolve(spec));
  const auto weight = [&](std::int64_t step) {
    const BatchPlace place{.step = step};
    return s.layer.router().route(s.h, s.places, &place).entropy_weight;
  };

  EXPECT_EQ(weight(0), 0);
  EXPECT_NEAR(weight(5), 0.05, 1e-15);
  for (const std::int64_t step : {10, 15, 20}) EXPECT_NEAR(weight(step), 0.1, 1e-15) << step;
}

// A net that expects a loss of 0 where it is ln V would fill the whole clipped norm.
TEST(ExpertRouter, ReinforceBeginsWithGradientsOfTheSizeOfTheOthers) {
  const auto first_norm = [](const std::string& router) {
    run::RunSpec spec = expert_spec(router);
    spec.vocab = 512;
    spec.init_std = 0.02;
    Model model(spec, at::kDouble);
    AdamW optimiser(spec, model.parameters());
    return train_step(
               model, optimiser, test::batch_of(spec, 4, spec.context), {.lr = 1e-3, .clip = 1})
        .grad_norm;
  };

  const double usual = first_norm("top1"), norm = first_norm("reinforce");
  EXPECT_LT(norm, 2 * usual);
  EXPECT_GT(norm, usual / 2);
}

TEST(ExpertRouter, HashesOfTwoLayersAreIndependent) {
  const run::RunSpec spec = expert_spec("hash");
  const Parameters parameters(spec, at::kDouble);
  constexpr std::int64_t kUnits = 4000;
  Places places{.sequences = kUnits, .positions = 16, .units = 1};
  places.known = at::ones({kUnits, 1}, at::kBool);
  places.hashes = at::empty({kUnits, 1}, at::kLong);
  for (std::int64_t i = 0; i < kUnits; ++i)
    places.hashes[i] = static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(i)) >> 1);
  const auto chosen = [&](std::int64_t layer) {
    return Router(spec, parameters, layer).route({}, places, nullptr).weights.argmax(-1).view(-1);
  };

  const at::Tensor pairs = at::bincount(4 * chosen(0) + chosen(1), {}, 16).to(at::kDouble);

  const double each = kUnits / 16.0;
  EXPECT_LT((pairs - each).abs().max().item<double>(), 5 * std::sqrt(each));
}

TEST(ExpertInterventions, LeaveAloneWhatNothingRoutes) {
  for (const std::string router : {"smear", "top1", "hash", "dselect"}) {
    Subject s(expert_spec(router));
    s.places.known = at::tensor({1, 0, 1, 1, 0, 1}, at::kLong).to(at::kBool).view({3, 2});
    const at::Tensor usual = s.output();
    at::Tensor one = at::zeros({4}, at::kDouble);
    one[2] = 1;
    const Intervention third{.weights = one.view({1, 4})}, without{.without = 1};
    const at::Tensor all_on_third = s.output(&third);

    for (const at::Tensor& y : {all_on_third, s.output(&without)}) {
      EXPECT_TRUE(y[0].narrow(0, 16, 4).equal(usual[0].narrow(0, 16, 4))) << router;
      EXPECT_TRUE(y[2].narrow(0, 8, 8).equal(usual[2].narrow(0, 8, 8))) << router;
      EXPECT_TRUE(y.narrow(1, 0, 8).equal(usual.narrow(1, 0, 8))) << router;
    }
    EXPECT_GT(distance(all_on_third[1], usual[1]), 1e-3) << router;
  }
}

TEST(ExpertInterventions, ScaleUpWhatIsLeft) {
  for (const std::string router : {"smear", "ensemble"}) {
    const Subject s(expert_spec(router));
    const at::Tensor p = s.layer.router().route(s.h, s.places, nullptr).weights.detach();
    const Intervention without{.without = 1};

    const at::Tensor got =
        s.layer.router().route(s.h, s.places, nullptr, &without).weights.detach();

    at::Tensor want = p / (1 - p.narrow(-1, 1, 1));
    want.select(-1, 1).zero_();
    EXPECT_LT(distance(got, want), 1e-8) << router;
  }
}

// By hand: of the other experts the one with the largest p, with top1 scaled by its share of them.
TEST(ExpertInterventions, LetTheNextBestExpertCompute) {
  for (const std::string router : {"top1", "st_gumbel", "reinforce"}) {
    const Subject s(expert_spec(router));
    const at::Tensor p = s.layer.router().route(s.h, s.places, nullptr).soft.detach();
    std::int64_t moved = 0;
    for (std::int64_t removed = 0; removed < 4; ++removed) {
      const Intervention without{.without = removed};
      const Routing got = s.layer.router().route(s.h, s.places, nullptr, &without);
      for (std::int64_t b = 0; b < 3; ++b)
        for (std::int64_t u = 0; u < 2; ++u) {
          std::int64_t best = removed == 0 ? 1 : 0;
          for (std::int64_t e = 0; e < 4; ++e)
            if (e != removed && p[b][u][e].item<double>() > p[b][u][best].item<double>()) best = e;
          moved += p[b][u].argmax().item<std::int64_t>() == removed;
          EXPECT_EQ(got.weights[b][u][best].item<double>(), 1) << router;
          EXPECT_EQ(got.weights[b][u].sum().item<double>(), 1) << router;
          if (router != "top1") continue;
          const double others = 1 - p[b][u][removed].item<double>();
          EXPECT_NEAR(got.scale[b][u].item<double>(), p[b][u][best].item<double>() / others, 1e-8);
        }
    }
    EXPECT_EQ(moved, 6) << router;  // each unit's best is removed once
  }
}

TEST(ExpertInterventions, PassTagsAndHashesOnToTheNextExpert) {
  for (const std::string router : {"tag", "hash"}) {
    const Subject s(expert_spec(router));
    const at::Tensor usual = s.layer.router().route(s.h, s.places, nullptr).weights.argmax(-1);
    for (std::int64_t removed = 0; removed < 4; ++removed) {
      const Intervention without{.without = removed};
      const at::Tensor got = s.layer.router().route(s.h, s.places, nullptr, &without).weights;
      const at::Tensor want = at::where(usual.eq(removed), (usual + 1).remainder(4), usual);
      EXPECT_TRUE(got.argmax(-1).equal(want)) << router;
      EXPECT_TRUE(got.sum(-1).eq(1).all().item<bool>()) << router;
    }
  }
}

TEST(ExpertRouter, DselectsCodesAreADistributionAndBecomeOneExpert) {
  Subject s(expert_spec("dselect"));
  const at::Tensor soft = s.layer.router().route(s.h, s.places, nullptr).weights;
  EXPECT_LT(distance(soft.sum(-1), at::ones({3, 2}, at::kDouble)), 1e-12);

  test::sharpen_routers(s.parameters, 50);
  const at::Tensor hard = s.layer.router().route(s.h, s.places, nullptr).weights;
  EXPECT_TRUE((hard.eq(0) | hard.eq(1)).all().item<bool>());
}

TEST(Experts, OneIsTheModelWithoutExperts) {
  run::RunSpec spec = expert_spec("smear");
  spec.experts = 1;
  run::RunSpec plain = spec;
  plain.router = "none";
  plain = run::resolve(plain);
  Model one(spec, at::kDouble), dense(plain, at::kDouble);
  const auto of_one = [](std::string name) {
    if (const std::size_t at = name.find(".mlp."); at != std::string::npos)
      name.replace(at, 5, ".experts.0.");
    return name;
  };
  for (const auto& entry : dense.parameters().entries())
    one.parameters().at(of_one(entry.shape.name)).value.detach().copy_(entry.value.detach());
  const train::Batch batch = test::batch_of(spec, 3, spec.context);
  for (Model* model : {&one, &dense}) model->passes().add_gradients(batch.rows(0, 3), {}, 0.1);
  for (const auto& entry : dense.parameters().entries())
    EXPECT_LT(distance(one.parameters().at(of_one(entry.shape.name)).grad, entry.grad), 1e-12)
        << entry.shape.name;
  const c10::InferenceMode no_gradients;

  EXPECT_LT(distance(one.logits(batch.inputs), dense.logits(batch.inputs)), 1e-12);
  EXPECT_NEAR(
      one.passes().loss_sum(batch.rows(0, 3)), dense.passes().loss_sum(batch.rows(0, 3)), 1e-10);
}

TEST(Experts, AreTensorsOfTheirOwn) {
  const run::RunSpec spec = expert_spec("smear", "lowrank", "llama");
  Parameters parameters(spec, at::kFloat);

  EXPECT_EQ(parameters.at("h0.experts.3.up.in.w").shape.shape, (std::vector<std::int64_t>{3, 24}));
  EXPECT_EQ(parameters.at("h1.experts.0.down.out.w").shape.shape,
            (std::vector<std::int64_t>{24, 3}));
  EXPECT_EQ(parameters.at("h0.router.columns.g").shape.rate, 3);
  double stored = 0;
  for (const auto& entry : parameters.entries()) stored += static_cast<double>(entry.value.numel());
  EXPECT_EQ(stored, run::count_params(spec).total);
}

}  // namespace
}  // namespace ration::train::experts
