#include "train/statistics.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "checkpoint/safetensors.h"
#include "data/pool_builder.h"
#include "train/batches.h"
#include "train/checkpoint_folder.h"
#include "train/small_models.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;

struct Family {
  const char* family;
  const char* mlp;
  bool tied;
};

class Statistics : public testing::TestWithParam<Family> {
 protected:
  static run::RunSpec spec() {
    run::RunSpec spec = test::small_spec(GetParam().family, GetParam().mlp, 12);
    spec.tied = GetParam().tied;
    spec.bias = spec.family == "gpt2";
    return run::resolve(spec);
  }
  static Sequence sequences(const run::RunSpec& spec) {
    return [spec](std::int64_t i) { return test::batch_of(spec, 1, 12, i); };
  }
};

TEST_P(Statistics, FisherIsTheMeanSquareOfASequencesGradient) {
  const run::RunSpec of = spec();
  Model model(of, at::kDouble), twin(of, at::kDouble);

  const auto found = fisher_information(model, 3, sequences(of));

  std::map<std::string, at::Tensor> wanted;
  for (std::int64_t i = 0; i < 3; ++i) {
    const Batch batch = test::batch_of(of, 1, 12, i);
    twin.parameters().grads().zero_();
    twin.loss_sum(twin.logits(batch.inputs), batch.targets).backward();
    for (const Parameters::Entry& entry : twin.parameters().entries()) {
      at::Tensor& sum = wanted[entry.shape.name];
      if (!sum.defined()) sum = at::zeros_like(entry.value.detach());
      sum += at::square(entry.value.grad()) / 3;
    }
  }
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, want] : wanted)
    EXPECT_TRUE(at::allclose(found.at(name), want, /*rtol=*/1e-9, /*atol=*/1e-12)) << name;
}

// The forward pass once more, in operators; what each linear map reads, by the name of its weight.
std::map<std::string, at::Tensor> inputs_of(Model& model,
                                            const run::RunSpec& spec,
                                            const at::Tensor& tokens,
                                            at::Tensor& logits) {
  Parameters& parameters = model.parameters();
  const auto tensor = [&](const std::string& name) {
    return parameters.has(name) ? parameters.at(name).value.detach() : at::Tensor();
  };
  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    return spec.family == "llama"
               ? at::rms_norm(x, {spec.width}, tensor(name + ".g"), spec.norm_eps)
               : at::layer_norm(
                     x, {spec.width}, tensor(name + ".g"), tensor(name + ".b"), spec.norm_eps);
  };
  std::map<std::string, at::Tensor> seen;
  const auto linear = [&](const at::Tensor& x, const std::string& name) {
    seen[name + ".w"] = x.reshape({-1, x.size(-1)});
    return at::linear(x, tensor(name + ".w"), tensor(name + ".b"));
  };
  const std::int64_t T = tokens.size(1), D = spec.width / spec.heads;
  const auto turned = [&](const at::Tensor& x) {  // [1,H,T,D]
    if (spec.family != "llama") return x;
    const at::Tensor j = at::arange(D / 2, at::kDouble);
    const at::Tensor angle =
        at::outer(at::arange(T, at::kDouble),
                  at::exp(j * (-2.0 / static_cast<double>(D)) * std::log(spec.rope_base)));
    const at::Tensor a = x.narrow(-1, 0, D / 2), b = x.narrow(-1, D / 2, D / 2);
    return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()}, -1);
  };
  at::Tensor h = at::embedding(tensor("wte"), tokens);
  if (spec.family == "gpt2") h = h + tensor("wpe").narrow(0, 0, T);
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    const std::string at_layer = "h" + std::to_string(i) + ".";
    const at::Tensor qkv = linear(norm(h, at_layer + "ln1"), at_layer + "attn.qkv")
                               .view({1, T, 3, spec.heads, D})
                               .permute({2, 0, 3, 1, 4});
    const at::Tensor future = at::ones({T, T}, at::kBool).triu(1);
    const at::Tensor scores = at::matmul(turned(qkv[0]), turned(qkv[1]).transpose(-1, -2)) /
                              std::sqrt(static_cast<double>(D));
    const at::Tensor mixed =
        at::matmul(at::softmax(scores.masked_fill(future, -INFINITY), -1), qkv[2]);
    h = h + linear(mixed.transpose(1, 2).reshape({1, T, spec.width}), at_layer + "attn.o");
    const at::Tensor normed = norm(h, at_layer + "ln2");
    at::Tensor hidden;
    if (spec.mlp == "swiglu")
      hidden =
          at::silu(linear(normed, at_layer + "mlp.gate")) * linear(normed, at_layer + "mlp.up");
    else
      hidden = at::gelu(linear(normed, at_layer + "mlp.up"), "tanh");
    h = h + linear(hidden, at_layer + "mlp.down");
  }
  const at::Tensor last = norm(h, "lnf");
  logits = spec.tied ? at::linear(last, tensor("wte")) : linear(last, "head");
  return seen;
}

TEST_P(Statistics, GramMatricesAreThoseOfTheInputsOfEachLinearMap) {
  const run::RunSpec of = spec();
  Model model(of, at::kDouble);

  const auto found = gram_matrices(model, 3, sequences(of));

  std::map<std::string, at::Tensor> wanted;
  for (std::int64_t i = 0; i < 3; ++i) {
    const Batch batch = test::batch_of(of, 1, 12, i);
    at::Tensor logits;
    for (const auto& [name, x] : inputs_of(model, of, batch.inputs, logits)) {
      at::Tensor& gram = wanted[name + ".gram"];
      const at::Tensor own = at::matmul(x.t(), x);
      gram = gram.defined() ? gram + own : own;
    }
    ASSERT_TRUE(at::allclose(logits, model.logits(batch.inputs).detach(), 1e-10, 1e-10));
  }
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [name, want] : wanted)
    EXPECT_TRUE(at::allclose(found.at(name), want, /*rtol=*/1e-10, /*atol=*/1e-10)) << name;
}

INSTANTIATE_TEST_SUITE_P(Families,
                         Statistics,
                         testing::Values(Family{"llama", "swiglu", true},
                                         Family{"llama", "swiglu", false},
                                         Family{"gpt2", "gelu_tanh", true}));

// Of a finished run, by the program's entry.
class WrittenStatistics : public testing::Test {
 protected:
  WrittenStatistics() {
    data_.spec.dropout = 0.3;  // of the training alone
    data_.spec.z_loss = 0.1;
    folder_ = data_.create("run");
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    EXPECT_EQ(work({.run_folder = folder_.path()}, world).exit, WorkerExit::done);
  }
  WorkerOutcome write(Statistic statistic, std::vector<std::string> settings) {
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    return write_statistics({.statistic = statistic,
                             .of = {.data = data_.path(),
                                    .checkpoint = folder_.path(),
                                    .output = output(),
                                    .settings = std::move(settings)}},
                            world,
                            [](const std::string&) {});
  }
  Path output() const { return data_ / "statistics.safetensors"; }
  static std::string words_of(const WorkerOutcome& outcome) {
    return outcome.error ? outcome.error->describe() : "no error";
  }

  test::TinyData data_;
  run::RunFolder folder_{real_files(), ""};
};

// 60 documents of 11 tokens: 82 windows of 8, all of which are taken, so their order is of no
// importance.
TEST_F(WrittenStatistics, AreThoseOfTheRunsLastWeightsWithoutDropoutAndZLoss) {
  run::RunSpec spec = data_.spec;
  spec.dropout = 0, spec.z_loss = 0;
  Model model(spec, at::kFloat);
  const CheckpointName last =
      checkpoint_name(test::result_of(folder_)["checkpoint"].get<std::string>()).value();
  ASSERT_TRUE(CheckpointFolder(real_files(), folder_, run::run_id(data_.spec))
                  .load_weights(last.attempt, last.step, model.parameters()));
  const PoolWindows windows(test::open_train_pool(data_.path()), spec.context);
  ASSERT_EQ(windows.count(), 82);
  const Sequence sequence = [&](std::int64_t i) {
    const auto window = static_cast<std::uint32_t>(i);
    return windows.batch({&window, 1});
  };
  for (const Statistic statistic : {Statistic::fisher, Statistic::gram}) {
    const WorkerOutcome outcome = write(statistic, {"sequences=82"});

    ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
    const auto file = checkpoint::TensorFile::open(real_files(), output()).value();
    const auto wanted = statistic == Statistic::fisher ? fisher_information(model, 82, sequence)
                                                       : gram_matrices(model, 82, sequence);
    ASSERT_EQ(file.tensors().size(), wanted.size());
    for (const auto& [name, want] : wanted) {
      const checkpoint::TensorInfo* info = file.find(name);
      ASSERT_NE(info, nullptr) << name;
      EXPECT_EQ(info->dtype, checkpoint::DType::f32);
      at::Tensor got = at::empty(want.sizes(), at::kFloat);
      std::memcpy(got.mutable_data_ptr(), file.bytes(*info).data(), got.nbytes());
      EXPECT_TRUE(at::allclose(got.to(at::kDouble), want, /*rtol=*/1e-4, /*atol=*/1e-7)) << name;
    }
    EXPECT_EQ(file.metadata().at("statistic"), name(statistic));
    EXPECT_EQ(file.metadata().at("rows"), "656");
    EXPECT_EQ(file.metadata().at("data"), data_.spec.data_digest);
    EXPECT_EQ(file.metadata().at("run"), run::run_id(data_.spec));
  }
}

TEST_F(WrittenStatistics, RefuseRoutersThatAreMoreThanWeightsAndSayWhy) {
  for (const auto& [router, why] :
       std::map<std::string, std::string>{{"dselect", "adds a loss of its own"},
                                          {"random", "draws experts in training"},
                                          {"reinforce", "draws experts in training"}}) {
    data_.spec.router = router;
    data_.spec.experts = 4;
    data_.spec.expert_chunk = 3;
    data_.spec = run::resolve(data_.spec);
    folder_ = data_.create(router);

    const WorkerOutcome outcome = write(Statistic::fisher, {});

    EXPECT_EQ(outcome.exit, WorkerExit::usage);
    EXPECT_THAT(words_of(outcome), HasSubstr("router \"" + router + "\" " + why));
  }
}

TEST_F(WrittenStatistics, AreTheSameBytesEachTime) {
  ASSERT_EQ(write(Statistic::fisher, {"sequences=20"}).exit, WorkerExit::done);
  const std::string once = real_files().read(output()).value();
  ASSERT_EQ(write(Statistic::fisher, {"sequences=20"}).exit, WorkerExit::done);

  EXPECT_TRUE(real_files().read(output()).value() == once);
}

TEST_F(WrittenStatistics, RefuseMoreSequencesThanThereAreAndWordsThatAreNoNumber) {
  const WorkerOutcome many = write(Statistic::fisher, {});
  EXPECT_EQ(many.exit, WorkerExit::data);
  EXPECT_THAT(words_of(many), HasSubstr("holds 82 windows of 8 + 1 tokens, not 256"));
  for (const char* word : {"sequences=", "sequences=0", "sequences=2x", "sequences"}) {
    const WorkerOutcome none = write(Statistic::gram, {word});
    EXPECT_EQ(none.exit, WorkerExit::usage) << word;
    EXPECT_THAT(words_of(none), HasSubstr("is no number of sequences"));
  }
  EXPECT_FALSE(real_files().exists(output()));
}

}  // namespace
}  // namespace ration::train
