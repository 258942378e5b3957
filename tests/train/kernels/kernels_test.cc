// Every kernel against LibTorch in double precision: odd sizes, two runs side by side, padding.

#include "train/adamw.h"
#include "train/dropout.h"
#include "train/kernels/bench.h"

namespace ration::train {
namespace {

using kernels::BFloat16;
using kernels::Rows;
using test::Bench;

constexpr double kDropout = 0.3;
constexpr std::int64_t kRuns = 2, kPerRun = 21, kRows = kRuns * kPerRun;
constexpr Rows kTwoRuns{.count = kRows, .per_run = kPerRun};
constexpr BatchPlace kPlace{.step = 5, .first_sequence = 2};
constexpr std::int64_t kFirst = 1000;  // element that a run's first one is

// Keys of both runs for one site, and the factors that Dropout gives [rows,width].
struct Masks {
  explicit Masks(DropoutSite site) {
    keys = at::empty({kRuns}, at::kLong);
    for (std::int64_t k = 0; k < kRuns; ++k)
      keys.data_ptr<std::int64_t>()[k] =
          static_cast<std::int64_t>(Dropout(kDropout, seed(k)).mask(kPlace, 1, site).key);
    keys = keys.to(test::device_under_test());
  }
  static std::uint64_t seed(std::int64_t run) { return static_cast<std::uint64_t>(7 + run); }
  kernels::Mask mask() const {
    return kernels::mask_of(static_cast<const std::uint64_t*>(keys.data_ptr()), kDropout);
  }
  // The processor's own factors: an independent path to the same masks.
  at::Tensor factors(std::int64_t elements_of_run, DropoutSite site, std::int64_t first) const {
    at::Tensor all = at::empty({kRuns, elements_of_run}, at::kDouble);
    for (std::int64_t k = 0; k < kRuns; ++k)
      cpu::mask_factors(Dropout(kDropout, seed(k)).mask(kPlace, 1, site),
                        static_cast<std::uint64_t>(first),
                        elements_of_run,
                        all.data_ptr<double>() + k * elements_of_run);
    return all;
  }
  at::Tensor keys;
};

// Row r of run k scaled by its own run's vector [K,width].
at::Tensor of_runs(const at::Tensor& vectors) { return vectors.repeat_interleave(kPerRun, 0); }

at::Tensor normed(const at::Tensor& x, bool centred, double eps) {
  const at::Tensor from = centred ? x - x.mean({1}, true) : x;
  return from / at::sqrt(at::square(from).mean({1}, true) + eps);
}

template <class T>
class Kernels : public testing::Test {
 protected:
  Bench<T> bench;
};
TYPED_TEST_SUITE(Kernels, test::Numbers, test::NumberNames);

TYPED_TEST(Kernels, AddNormAddsABranchWithBiasAndDropoutAndNormsTheSum) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  const Masks masks(DropoutSite::mlp_branch);
  for (const std::int64_t width : {24, 33, 64, 128, 264})
    for (const bool centred : {false, true}) {
      const at::Tensor x = b.wide({kRows, width}), branch = b.narrow({kRows, width});
      const at::Tensor gain = b.wide({kRuns, width}), bias = b.wide({kRuns, width}),
                       offset = b.wide({kRuns, width});
      const at::Tensor sum = b.zeros({kRows, width}), out = b.empty({kRows, width}),
                       stats = b.zeros({kRows, 2});

      b.run(kernels::AddNorm<T>{.rows = kTwoRuns,
                                .norm = {.width = width,
                                         .centred = centred,
                                         .eps = Real(1e-3),
                                         .gain = device::data<Real>(gain),
                                         .bias = device::data<Real>(bias),
                                         .stride = width},
                                .x = device::data<Real>(x),
                                .branch = device::data<T>(branch),
                                .branch_bias = device::data<Real>(offset),
                                .mask = masks.mask(),
                                .first_element = kFirst,
                                .sum = device::data<Real>(sum),
                                .out = device::data<T>(out),
                                .stats = device::data<Real>(stats)});

      const at::Tensor factors =
          masks.factors(kPerRun * width, DropoutSite::mlp_branch, kFirst).view({kRows, width});
      const at::Tensor total = b.exact(x) + (b.exact(branch) + of_runs(b.exact(offset))) * factors;
      const at::Tensor y =
          normed(total, centred, 1e-3) * of_runs(b.exact(gain)) + of_runs(b.exact(bias));
      b.expect_near(sum, total, b.wide_tolerance(), "sum");
      b.expect_near(out, y, b.narrow_tolerance(), "norm");
      if (centred) b.expect_near(stats.select(1, 0), total.mean({1}), b.wide_tolerance(), "mean");
    }
}

TYPED_TEST(Kernels, NormBackwardGivesTheDerivedGradients) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  const Masks masks(DropoutSite::attention_branch);
  const kernels::Parts parts = kernels::parts_of(kPerRun);
  for (const std::int64_t width : {24, 33, 64, 128, 264})
    for (const bool centred : {false, true}) {
      const at::Tensor x = b.wide({kRows, width}), gain = b.wide({kRuns, width}),
                       bias = b.wide({kRuns, width}), before = b.wide({kRows, width});
      const at::Tensor dout = b.narrow({kRows, width}), dx = before.clone(),
                       dbranch = b.empty({kRows, width});
      const at::Tensor out = b.empty({kRows, width}), stats = b.zeros({kRows, 2});
      const at::Tensor gain_parts = b.zeros({kRuns, parts.count, width}),
                       bias_parts = b.zeros({kRuns, parts.count, width});
      const at::Tensor gain_grad = b.wide({kRuns, width}), bias_grad = b.wide({kRuns, width});
      const at::Tensor gain_before = gain_grad.clone(), bias_before = bias_grad.clone();
      const kernels::Norm<T> norm{.width = width,
                                  .centred = centred,
                                  .eps = Real(1e-3),
                                  .gain = device::data<Real>(gain),
                                  .bias = device::data<Real>(bias),
                                  .stride = width};

      b.run(kernels::AddNorm<T>{.rows = kTwoRuns,
                                .norm = norm,
                                .x = device::data<Real>(x),
                                .out = device::data<T>(out),
                                .stats = device::data<Real>(stats)});
      b.run(kernels::NormBackward<T>{.rows = kTwoRuns,
                                     .parts = parts,
                                     .norm = norm,
                                     .x = device::data<Real>(x),
                                     .stats = device::data<Real>(stats),
                                     .dout = device::data<T>(dout),
                                     .dx = device::data<Real>(dx),
                                     .dbranch = device::data<T>(dbranch),
                                     .mask = masks.mask(),
                                     .first_element = kFirst,
                                     .gain_parts = device::data<Real>(gain_parts),
                                     .bias_parts = device::data<Real>(bias_parts)});
      for (const auto& [sums, grad] :
           {std::pair(gain_parts, gain_grad), std::pair(bias_parts, bias_grad)})
        b.run(kernels::FoldParts<T>{.runs = kRuns,
                                    .parts = parts.count,
                                    .columns = width,
                                    .sums = device::data<Real>(sums),
                                    .grad = device::data<Real>(grad),
                                    .stride = width});

      const at::Tensor lx = b.leaf(x), lgain = b.leaf(gain), lbias = b.leaf(bias);
      (normed(lx, centred, 1e-3) * of_runs(lgain) + of_runs(lbias)).backward(b.exact(dout));
      const at::Tensor want = b.exact(before) + lx.grad();
      b.expect_near(dx, want, b.wide_tolerance(), "dx");
      b.expect_near(dbranch,
                    want * masks.factors(kPerRun * width, DropoutSite::attention_branch, kFirst)
                               .view({kRows, width}),
                    b.narrow_tolerance(),
                    "dbranch");
      b.expect_near(gain_grad, b.exact(gain_before) + lgain.grad(), b.wide_tolerance(), "gain");
      b.expect_near(bias_grad, b.exact(bias_before) + lbias.grad(), b.wide_tolerance(), "bias");
    }
}

// Heads [rows,3,H,D] after bias, QK-norm and rotation, in LibTorch's operators.
at::Tensor turned(const at::Tensor& projected,
                  const at::Tensor& bias,
                  bool unit,
                  const at::Tensor& cosines,
                  const at::Tensor& sines) {
  at::Tensor all = bias.defined() ? projected + bias : projected;
  at::Tensor query_key = all.narrow(1, 0, 2);
  if (unit) query_key = query_key / at::sqrt(at::square(query_key).mean({3}, true) + 1e-3);
  if (cosines.defined()) {
    const std::int64_t half = cosines.size(-1);
    const at::Tensor a = query_key.narrow(3, 0, half), c = query_key.narrow(3, half, half);
    query_key = at::cat({a * cosines - c * sines, c * cosines + a * sines}, 3);
  }
  return at::cat({query_key, all.narrow(1, 2, 1)}, 1);
}

TYPED_TEST(Kernels, RotateTurnsQueriesAndKeysAndItsBackwardTurnsGradientsBack) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  constexpr std::int64_t kHeads = 3, kSequence = 7;  // 3 sequences a run
  for (const std::int64_t width : {10, 16, 48}) {    // in single elements and in packs
    const at::Tensor angles =
        at::outer(at::arange(kSequence, at::kDouble), at::rand({width / 2}, at::kDouble));
    const at::Tensor cosines = b.here(at::cos(angles).to(device::scalar_type<Real>())),
                     sines = b.here(at::sin(angles).to(device::scalar_type<Real>()));
    for (const bool rotates : {false, true})
      for (const bool unit : {false, true})
        for (const bool biased : {false, true}) {
          if (!rotates && !unit && !biased) continue;
          const at::Tensor before = b.narrow({kRows, 3, kHeads, width}), x = before.clone();
          const at::Tensor bias = b.wide({kRuns, 3, kHeads, width}),
                           d_after = b.narrow({kRows, 3, kHeads, width}), d = d_after.clone();
          const at::Tensor inverses = b.zeros({kRows, 2 * kHeads});
          const kernels::Rotation<T> rotation{
              .heads = kHeads,
              .head_width = width,
              .sequence = kSequence,
              .cosines = rotates ? device::data<Real>(cosines) : nullptr,
              .sines = rotates ? device::data<Real>(sines) : nullptr,
              .unit = unit,
              .eps = Real(1e-3),
              .inverses = device::data<Real>(inverses)};

          b.run(kernels::Rotate<T>{.rows = kTwoRuns,
                                   .rotation = rotation,
                                   .bias = biased ? device::data<Real>(bias) : nullptr,
                                   .stride = 3 * kHeads * width,
                                   .projected = device::data<T>(x)});
          b.run(kernels::RotateBackward<T>{.rows = kTwoRuns,
                                           .rotation = rotation,
                                           .projected = device::data<T>(x),
                                           .dprojected = device::data<T>(d)});

          const at::Tensor leaf = b.leaf(before);
          const auto of_row = [&](const at::Tensor& table) {  // [rows,1,1,D/2]
            return b.exact(table).repeat({kRows / kSequence, 1}).view({kRows, 1, 1, width / 2});
          };
          const at::Tensor want = turned(leaf,
                                         biased ? of_runs(b.exact(bias)) : at::Tensor(),
                                         unit,
                                         rotates ? of_row(cosines) : at::Tensor(),
                                         rotates ? of_row(sines) : at::Tensor());
          want.backward(b.exact(d_after));
          const std::string what =
              std::to_string(rotates) + std::to_string(unit) + std::to_string(biased);
          b.expect_near(x, want.detach(), b.narrow_tolerance(), "heads " + what);
          // The backward pass sees heads that were rounded once more.
          b.expect_near(d, leaf.grad(), 2 * b.narrow_tolerance(), "gradient " + what);
        }
  }
}

TYPED_TEST(Kernels, JoinPutsQueriesKeysAndValuesBehindEachOther) {
  using T = TypeParam;
  Bench<T>& b = this->bench;
  for (const std::int64_t width : {10, 48}) {
    const at::Tensor q = b.narrow({kRows, width}), k = b.narrow({kRows, width}),
                     v = b.narrow({kRows, width}), joined = b.narrow({kRows, 3 * width});
    b.run(kernels::Join<T>{.rows = kRows,
                           .width = width,
                           .queries = device::data<T>(q),
                           .keys = device::data<T>(k),
                           .values = device::data<T>(v),
                           .joined = device::data<T>(joined)});
    EXPECT_TRUE(at::equal(joined, at::cat({q, k, v}, 1))) << "width " << width;
  }
}

TYPED_TEST(Kernels, ActivationsAndTheirBackwardFollowLibTorch) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  using kernels::Activation;
  Bench<T>& b = this->bench;
  for (const Activation kind :
       {Activation::swiglu, Activation::relu2, Activation::gelu_tanh, Activation::gelu_erf})
    for (const std::int64_t width : {24, 33}) {
      const bool gated = kind == Activation::swiglu;
      const at::Tensor before = 2 * b.narrow({kRows, gated ? 2 * width : width});
      const at::Tensor x = before.clone(), out = b.empty({kRows, width}),
                       dout = b.narrow({kRows, width}), bias = b.wide({kRuns, width});
      const kernels::MlpRows<T> mlp{.rows = kTwoRuns,
                                    .width = width,
                                    .kind = kind,
                                    .bias = gated ? nullptr : device::data<Real>(bias),
                                    .stride = width};

      b.run(kernels::Activate<T>{
          .mlp = mlp, .before = device::data<T>(x), .out = device::data<T>(out)});
      b.run(kernels::ActivateBackward<T>{
          .mlp = mlp, .dout = device::data<T>(dout), .before = device::data<T>(x)});

      const at::Tensor leaf = b.leaf(before);
      const at::Tensor in = gated ? leaf : leaf + of_runs(b.exact(bias));
      const at::Tensor want = gated ? at::silu(in.narrow(1, 0, width)) * in.narrow(1, width, width)
                              : kind == Activation::relu2
                                  ? at::square(at::relu(in))
                                  : at::gelu(in, kind == Activation::gelu_tanh ? "tanh" : "none");
      want.backward(b.exact(dout));
      b.expect_near(out, want.detach(), b.narrow_tolerance(), "value");
      b.expect_near(x, leaf.grad(), b.narrow_tolerance(), "slope");
    }
}

TYPED_TEST(Kernels, ClassifyGivesLossesAndGradientsOverTheVocabularyWithoutItsPadding) {
  using T = TypeParam;
  Bench<T>& b = this->bench;
  constexpr double kWeight = 0.125, kSquare = 1e-2;
  constexpr std::int64_t kChunk = 8, kOffset = 13;  // rows 13 … 20 of both runs
  struct Size {
    std::int64_t vocab, stride;
  };
  for (const Size size : {Size{29, 29}, Size{29, 64}, Size{257, 320}, Size{2100, 2112}}) {
    const at::Tensor logits = 4 * b.narrow({kRuns, kChunk, size.stride}), z = logits.clone();
    if (size.stride > size.vocab)
      z.narrow(2, size.vocab, size.stride - size.vocab).fill_(std::nan(""));  // never looked at
    const at::Tensor targets = (at::arange(kRows, at::kLong) * 17).remainder(size.vocab);
    const at::Tensor targets_here = b.here(targets);
    const at::Tensor losses = at::full({kRows}, -1, b.options(at::kDouble));

    b.run(kernels::Classify<T>{.rows = kTwoRuns,
                               .chunk = kChunk,
                               .first = kOffset,
                               .vocab = size.vocab,
                               .stride = size.stride,
                               .weight = kWeight,
                               .square_weight = kSquare,
                               .targets = device::data<std::int64_t>(targets_here),
                               .logits = device::data<T>(z),
                               .losses = device::data<double>(losses)});

    const at::Tensor leaf = b.leaf(logits);
    const at::Tensor seen = leaf.narrow(2, 0, size.vocab).reshape({-1, size.vocab});
    const at::Tensor chosen =
        targets.view({kRuns, kPerRun}).narrow(1, kOffset, kChunk).reshape({-1});
    const at::Tensor want = at::cross_entropy_loss(seen, chosen, {}, at::Reduction::None);
    (kWeight * (want.sum() + kSquare * at::square(at::logsumexp(seen, {1})).sum())).backward();
    b.expect_near(losses.view({kRuns, kPerRun}).narrow(1, kOffset, kChunk),
                  want.detach(),
                  b.wide_tolerance(),
                  "loss");
    EXPECT_EQ(losses[0].item<double>(), -1) << "a row outside of the chunk";
    b.expect_near(z, leaf.grad(), b.narrow_tolerance(), "gradient");
    if (size.stride > size.vocab) {
      EXPECT_EQ(
          z.narrow(2, size.vocab, size.stride - size.vocab).abs().max().template item<double>(), 0);
    }
  }
}

TYPED_TEST(Kernels, EmbedLooksUpAndItsBackwardAddsInTheOrderOfRows) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  constexpr std::int64_t kVocab = 6, kWidth = 33, kSequence = 7;
  const Masks masks(DropoutSite::embedding);
  const at::Tensor table = b.wide({kRuns, kVocab, kWidth}),
                   positions = b.wide({kRuns, kSequence, kWidth});
  // Both tables in one flat buffer a run, as parameters are.
  const at::Tensor flat =
      at::cat({table.view({kRuns, -1}), positions.view({kRuns, -1})}, 1).contiguous();
  const std::int64_t stride = flat.size(1);
  const at::Tensor tokens = (at::arange(kRows, at::kLong).square() * 5).remainder(kVocab);
  const at::Tensor order =
      std::get<1>(at::sort(tokens.view({kRuns, kPerRun}), std::optional<bool>(true), 1, false))
          .to(at::kInt);
  const at::Tensor tokens_here = b.here(tokens), order_here = b.here(order);
  const at::Tensor x = b.zeros({kRows, kWidth}), d = b.wide({kRows, kWidth}), dx = d.clone(),
                   grad = at::zeros_like(flat);

  b.run(kernels::Embed<T>{.rows = kTwoRuns,
                          .width = kWidth,
                          .sequence = kSequence,
                          .tokens = device::data<std::int64_t>(tokens_here),
                          .table = device::data<Real>(flat),
                          .positions = device::data<Real>(flat) + kVocab * kWidth,
                          .stride = stride,
                          .mask = masks.mask(),
                          .first_element = kFirst,
                          .x = device::data<Real>(x)});
  b.run(kernels::EmbedBackward<T>{.rows = kTwoRuns,
                                  .width = kWidth,
                                  .tokens = device::data<std::int64_t>(tokens_here),
                                  .order = device::data<std::int32_t>(order_here),
                                  .mask = masks.mask(),
                                  .first_element = kFirst,
                                  .dx = device::data<Real>(dx),
                                  .grad = device::data<Real>(grad),
                                  .stride = stride});
  b.run(kernels::PositionsBackward<T>{.rows = kTwoRuns,
                                      .width = kWidth,
                                      .sequence = kSequence,
                                      .dx = device::data<Real>(dx),
                                      .grad = device::data<Real>(grad) + kVocab * kWidth,
                                      .stride = stride});

  const at::Tensor ltable = b.leaf(table), lpositions = b.leaf(positions);
  const at::Tensor factors =
      masks.factors(kPerRun * kWidth, DropoutSite::embedding, kFirst).view({kRows, kWidth});
  std::vector<at::Tensor> rows;
  for (std::int64_t k = 0; k < kRuns; ++k)
    rows.push_back(at::embedding(ltable[k], tokens.narrow(0, k * kPerRun, kPerRun)) +
                   lpositions[k].repeat({kPerRun / kSequence, 1}));
  const at::Tensor want = at::cat(rows) * factors;
  want.backward(b.exact(d));
  b.expect_near(x, want.detach(), b.wide_tolerance(), "rows");
  b.expect_near(grad.narrow(1, 0, kVocab * kWidth), ltable.grad(), b.wide_tolerance(), "embedding");
  b.expect_near(grad.narrow(1, kVocab * kWidth, kSequence * kWidth),
                lpositions.grad(),
                b.wide_tolerance(),
                "positions");
}

TYPED_TEST(Kernels, AttendIsACausalSoftmaxWithTheTrainersDropout) {
  using T = TypeParam;
  Bench<T>& b = this->bench;
  constexpr std::int64_t kHeads = 3, kSequences = 2, kPositions = 19;
  constexpr std::int64_t kItems = kRuns * kSequences * kHeads;
  const Masks masks(DropoutSite::attention_weights);
  const at::Tensor scores = 3 * b.narrow({kItems, kPositions, kPositions}), w = scores.clone(),
                   dropped = b.empty({kItems, kPositions, kPositions});
  const at::Tensor d = b.narrow({kItems, kPositions, kPositions}), grads = d.clone();
  const kernels::Scores shape{.items = kItems,
                              .items_per_run = kSequences * kHeads,
                              .first_of_run = kPlace.first_sequence * kHeads,
                              .positions = kPositions,
                              .scale = 0.25,
                              .mask = masks.mask()};

  b.run(kernels::Attend<T>{
      .shape = shape, .scores = device::data<T>(w), .dropped = device::data<T>(dropped)});
  b.run(kernels::AttendBackward<T>{
      .shape = shape, .weights = device::data<T>(w), .grads = device::data<T>(grads)});

  const at::Tensor leaf = b.leaf(scores);
  const at::Tensor future = at::ones({kPositions, kPositions}, at::kBool).triu(1);
  const at::Tensor weights = at::softmax((leaf * 0.25).masked_fill(future, -INFINITY), -1);
  const std::int64_t of_run = kSequences * kHeads * kPositions * kPositions;
  const at::Tensor want =
      weights * masks
                    .factors(of_run,
                             DropoutSite::attention_weights,
                             kPlace.first_sequence * kHeads * kPositions * kPositions)
                    .view(weights.sizes());
  want.backward(b.exact(d));
  b.expect_near(w, weights.detach(), b.narrow_tolerance(), "weights");
  b.expect_near(dropped, want.detach(), b.narrow_tolerance(), "dropped weights");
  // Weights were rounded before they are used.
  b.expect_near(grads, leaf.grad(), 2 * b.narrow_tolerance(), "gradient");
}

TYPED_TEST(Kernels, SumsOfRowsAreThoseOfLibTorch) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  constexpr std::int64_t kLong = 299;  // rows of a run, in more parts than a column has threads
  for (const std::int64_t columns : {24, 33, 130}) {
    const kernels::Parts parts = kernels::parts_of(kLong);
    ASSERT_GT(parts.count, kernels::FoldParts<T>::kGroups);
    const at::Tensor x = b.narrow({kRuns * kLong, columns}),
                     sums = b.zeros({kRuns, parts.count, columns});
    const at::Tensor grad = b.wide({kRuns, columns}), before = grad.clone();

    b.run(kernels::ColumnSums<T>{.rows = {.count = kRuns * kLong, .per_run = kLong},
                                 .parts = parts,
                                 .columns = columns,
                                 .x = device::data<T>(x),
                                 .parts_out = device::data<Real>(sums)});
    b.run(kernels::FoldParts<T>{.runs = kRuns,
                                .parts = parts.count,
                                .columns = columns,
                                .sums = device::data<Real>(sums),
                                .grad = device::data<Real>(grad),
                                .stride = columns});

    b.expect_near(grad,
                  b.exact(before) + b.exact(x).view({kRuns, kLong, columns}).sum(1),
                  b.wide_tolerance(),
                  "column sums");
  }
}

TYPED_TEST(Kernels, AccumulateAddsNarrowGradientsToWideOnes) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  for (const std::int64_t count : {7, 48, 20'000}) {
    const std::int64_t stride = (count + 31) / 16 * 16;
    const at::Tensor more = b.narrow({kRuns, count}), grad = b.wide({kRuns, stride}),
                     before = grad.clone();

    b.run(kernels::Accumulate<T>{.runs = kRuns,
                                 .count = count,
                                 .more = device::data<T>(more),
                                 .grad = device::data<Real>(grad),
                                 .stride = stride});

    at::Tensor want = b.exact(before);
    want.narrow(1, 0, count) += b.exact(more);
    b.expect_near(grad, want, b.wide_tolerance(), "sum");
  }
}

// ---- the end of a step
// ---------------------------------------------------------------------------

template <class T>
struct Optimiser {
  using Real = kernels::Wide<T>;
  static constexpr std::int64_t kSize = 48, kDecayed = 32;
  Bench<T> b;
  at::Tensor values = b.wide({kRuns, kSize}), grads = b.wide({kRuns, kSize}),
             first = b.zeros({kRuns, kSize}), second = b.zeros({kRuns, kSize}),
             copy = b.empty({kRuns, kSize});
  at::Tensor updates = at::zeros({kRuns}, b.options(at::kLong));
  std::vector<kernels::RunControl> controls =
      std::vector<kernels::RunControl>(kRuns, {.lr = 0.1, .weight_decay = 0.5, .clip = 1});
  std::vector<kernels::RunResult> results = std::vector<kernels::RunResult>(kRuns);

  static at::Tensor bytes(void* from, std::size_t size) {
    return at::from_blob(from, {static_cast<std::int64_t>(size)}, at::kByte)
        .clone()
        .to(test::device_under_test());
  }

  void step() {
    const std::int64_t parts = kernels::square_parts(kSize);
    const at::Tensor squares = at::zeros({kRuns, parts}, b.options(at::kDouble));
    const at::Tensor control = bytes(controls.data(), sizeof(controls[0]) * kRuns);
    const at::Tensor result = bytes(results.data(), sizeof(results[0]) * kRuns);
    const at::Tensor factors = at::zeros(
        {kRuns * static_cast<std::int64_t>(sizeof(kernels::RunFactors))}, b.options(at::kByte));
    b.run(kernels::SquareSums<T>{.runs = kRuns,
                                 .size = kSize,
                                 .parts = parts,
                                 .grads = device::data<Real>(grads),
                                 .sums_out = device::data<double>(squares)});
    b.run(kernels::Decide{.runs = kRuns,
                          .parts = parts,
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .controls = device::data<kernels::RunControl>(control),
                          .square_sums = device::data<double>(squares),
                          .updates = device::data<std::int64_t>(updates),
                          .results = device::data<kernels::RunResult>(result),
                          .factors = device::data<kernels::RunFactors>(factors)});
    b.run(kernels::AdamW<T>{.runs = kRuns,
                            .size = kSize,
                            .decayed = kDecayed,
                            .beta1 = 0.9,
                            .beta2 = 0.95,
                            .eps = 1e-8,
                            .factors = device::data<kernels::RunFactors>(factors),
                            .grads = device::data<Real>(grads),
                            .values = device::data<Real>(values),
                            .first = device::data<Real>(first),
                            .second = device::data<Real>(second),
                            .copy = device::data<T>(copy)});
    const at::Tensor back = result.cpu();
    std::copy_n(static_cast<const kernels::RunResult*>(back.data_ptr()), kRuns, results.begin());
  }
};

TYPED_TEST(Kernels, AdamWMovesEachRunByItsOwnSettings) {
  Optimiser<TypeParam> o;
  o.controls[1] = {.lr = 0.01, .weight_decay = 0, .clip = 0};
  for (int step = 1; step <= 3; ++step) {
    at::Tensor p = o.b.exact(o.values), m = o.b.exact(o.first), v = o.b.exact(o.second);
    const at::Tensor g = o.b.exact(o.grads);

    o.step();

    for (std::int64_t k = 0; k < kRuns; ++k) {
      const kernels::RunControl& c = o.controls[static_cast<std::size_t>(k)];
      const double norm = g[k].norm().template item<double>();
      const double clip = c.clip > 0 ? std::min(1.0, c.clip / (norm + 1e-6)) : 1;
      EXPECT_NEAR(o.results[static_cast<std::size_t>(k)].grad_norm, norm, 1e-12 * norm);
      EXPECT_NEAR(o.results[static_cast<std::size_t>(k)].clip, clip, 1e-12);
      m[k] = 0.9 * m[k] + 0.1 * clip * g[k];
      v[k] = 0.95 * v[k] + 0.05 * at::square(clip * g[k]);
      p[k].narrow(0, 0, o.kDecayed) *= 1 - c.lr * c.weight_decay;
      p[k] -= c.lr * (m[k] / (1 - std::pow(0.9, step))) /
              (at::sqrt(v[k] / (1 - std::pow(0.95, step))) + 1e-8);
    }
    o.b.expect_near(o.values, p, o.b.wide_tolerance(), "values");
    o.b.expect_near(o.second, v, o.b.wide_tolerance(), "second moments");
    EXPECT_TRUE(at::equal(o.copy, o.values.to(o.copy.scalar_type()))) << "the copy is a rounding";
  }
}

TYPED_TEST(Kernels, ARunThatIsNotFiniteOrHasEndedIsLeftAlone) {
  for (const int reason : {0, 1, 2}) {
    Optimiser<TypeParam> o;
    if (reason == 0) o.grads[0][5] = std::nan("");
    if (reason == 1) o.results[0].loss = HUGE_VAL;
    if (reason == 2) o.controls[0].active = 0;
    const at::Tensor before = o.values.clone();

    o.step();

    EXPECT_EQ(o.results[0].updated, 0) << reason;
    EXPECT_EQ(o.results[1].updated, 1) << reason;
    EXPECT_EQ(o.updates[0].template item<std::int64_t>(), 0);
    EXPECT_EQ(o.updates[1].template item<std::int64_t>(), 1);
    EXPECT_TRUE(at::equal(o.values[0], before[0])) << reason;
    EXPECT_FALSE(at::equal(o.values[1], before[1])) << reason;
    EXPECT_EQ(o.first[0].abs().max().template item<double>(), 0);
  }
}

TYPED_TEST(Kernels, SumLossesAddsTheRowsOfEachRun) {
  Bench<TypeParam>& b = this->bench;
  const at::Tensor losses = b.wide({kRows}).to(at::kDouble);
  std::vector<kernels::RunResult> results(kRuns, {.loss = 2});
  const at::Tensor on_device =
      Optimiser<TypeParam>::bytes(results.data(), sizeof(results[0]) * kRuns);

  b.run(kernels::SumLosses{.rows = kTwoRuns,
                           .weight = 0.5,
                           .losses = device::data<double>(losses),
                           .results = device::data<kernels::RunResult>(on_device)});

  const at::Tensor back = on_device.cpu();
  const at::Tensor want = losses.view({kRuns, kPerRun}).sum(1).cpu();
  for (std::int64_t k = 0; k < kRuns; ++k)
    EXPECT_NEAR(static_cast<const kernels::RunResult*>(back.data_ptr())[k].loss,
                2 + 0.5 * want[k].template item<double>(),
                1e-12);
}

// A run's sums must not depend on who trains beside it.
TYPED_TEST(Kernels, GiveARunTheSameBitsAloneAndBesideAnother) {
  using T = TypeParam;
  using Real = kernels::Wide<T>;
  Bench<T>& b = this->bench;
  constexpr std::int64_t kWidth = 40;
  const kernels::Parts parts = kernels::parts_of(kPerRun);
  const at::Tensor x = b.wide({kRows, kWidth}), gain = b.wide({kRuns, kWidth}),
                   stats = b.wide({kRows, 2}), dout = b.narrow({kRows, kWidth});
  const auto gradient = [&](std::int64_t first_run, std::int64_t runs) {
    const std::int64_t first = first_run * kPerRun;
    const at::Tensor dx = b.zeros({runs * kPerRun, kWidth}),
                     sums = b.zeros({runs, parts.count, kWidth}), grad = b.zeros({runs, kWidth});
    b.run(kernels::NormBackward<T>{.rows = {.count = runs * kPerRun, .per_run = kPerRun},
                                   .parts = parts,
                                   .norm = {.width = kWidth,
                                            .eps = Real(1e-5),
                                            .gain = device::data<Real>(gain) + first_run * kWidth,
                                            .stride = kWidth},
                                   .x = device::data<Real>(x) + first * kWidth,
                                   .stats = device::data<Real>(stats) + first * 2,
                                   .dout = device::data<T>(dout) + first * kWidth,
                                   .replace = true,
                                   .dx = device::data<Real>(dx),
                                   .gain_parts = device::data<Real>(sums)});
    b.run(kernels::FoldParts<T>{.runs = runs,
                                .parts = parts.count,
                                .columns = kWidth,
                                .sums = device::data<Real>(sums),
                                .grad = device::data<Real>(grad),
                                .stride = kWidth});
    return grad;
  };

  const at::Tensor together = gradient(0, 2);

  EXPECT_TRUE(at::equal(together[0], gradient(0, 1)[0]));
  EXPECT_TRUE(at::equal(together[1], gradient(1, 1)[0]));
}

// ---- numbers
// -------------------------------------------------------------------------------------

TEST(BFloat16, RoundsAsLibTorchDoes) {
  Stream words(1, StreamId::starts);
  for (int i = 0; i < 200'000; ++i) {
    // All exponents, ties, infinities, NaN: bit patterns, not values.
    auto word = static_cast<std::uint32_t>(words.next());
    if (i % 3 == 0) word = (word & 0xFFFF0000U) | 0x8000U;
    float value;
    std::memcpy(&value, &word, sizeof value);
    const c10::BFloat16 want(value);
    const BFloat16 got(value);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(static_cast<float>(got)));
    else
      ASSERT_EQ(got.bits, want.x) << value;
  }
}

TEST(Parts, CoverAllRowsOnceAndInOrder) {
  for (const std::int64_t rows : {1, 15, 16, 17, 1000, 100'000}) {
    const kernels::Parts parts = kernels::parts_of(rows);
    EXPECT_EQ(parts.begin(0), 0);
    EXPECT_EQ(parts.begin(parts.count), rows);
    for (std::int64_t p = 0; p < parts.count; ++p) EXPECT_LT(parts.begin(p), parts.begin(p + 1));
  }
}

}  // namespace
}  // namespace ration::train
