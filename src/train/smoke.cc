#include "train/smoke.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "base/random.h"
#include "base/text.h"
#include "train/batches.h"
#include "train/checkpoint_folder.h"
#include "train/step.h"

namespace ration::train {
namespace {

constexpr std::int64_t kSymbols = 16;
constexpr double kSurprise = 0.1;  // share of tokens that do not follow from the one before

run::RunSpec tiny_spec(const std::string& precision) {
  run::RunSpec spec;
  spec.width = 32;
  spec.heads = 2;
  spec.context = 32;
  spec.vocab = kSymbols;
  spec.batch_sequences = 8;
  spec.lr = 1e-2;
  spec.tokens = 1;
  spec.precision = precision;
  return run::resolve(spec);
}

// Text in which a token is mostly the one before plus 3.
Batch text_of(const run::RunSpec& spec, std::int64_t step) {
  Stream stream(7, StreamId::windows, static_cast<std::uint64_t>(step));
  const at::Tensor tokens = at::empty({spec.batch_sequences, spec.context + 1}, at::kLong);
  auto* to = tokens.data_ptr<std::int64_t>();
  auto token = static_cast<std::int64_t>(stream.below(kSymbols));
  for (std::int64_t i = 0; i < tokens.numel(); ++i) {
    to[i] = token;
    token = stream.uniform() < kSurprise ? static_cast<std::int64_t>(stream.below(kSymbols))
                                         : (token + 3) % kSymbols;
  }
  return {tokens.narrow(1, 0, spec.context).contiguous(),
          tokens.narrow(1, 1, spec.context).contiguous()};
}

// The least loss that this text allows, nats a token.
double entropy() {
  const double right = 1 - kSurprise + kSurprise / kSymbols, wrong = kSurprise / kSymbols;
  return -right * std::log(right) - (kSymbols - 1) * wrong * std::log(wrong);
}

struct Trained {
  explicit Trained(const run::RunSpec& its_spec)
      : spec(its_spec),
        model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat),
        optimiser(spec, model.parameters()) {}

  // Steps `first` … `end` - 1 on what `batch_of` gives for each; the loss of the last.
  double train(std::int64_t first,
               std::int64_t end,
               Batch (*batch_of)(const run::RunSpec&, std::int64_t) = text_of) {
    double loss = 0;
    for (std::int64_t step = first; step < end; ++step)
      loss = train_step(model, optimiser, batch_of(spec, step), {.lr = spec.lr, .step = step}).loss;
    return loss;
  }

  run::RunSpec spec;
  Model model;
  AdamW optimiser;
};

SmokeCheck check_writing(Files& files, const Path& folder) {
  SmokeCheck check{.name = "writes", .detail = fmt::format("files in {}", folder.string())};
  const Path file = folder / "file";
  Result<void> done = files.make_folders(folder);
  if (done) done = files.write_whole(file, "smoke\n");
  const Result<std::string> back = done ? files.read(file) : Result<std::string>(done.error());
  check.passed = back && *back == "smoke\n";
  if (!back) check.detail = back.error().what;
  return check;
}

// The loss of the same model on the same tokens by another program, in double precision
// (tests/train/smoke_test.cc says how it was made).
SmokeCheck check_reference() {
  constexpr std::int64_t kSteps = 5;
  constexpr double kReference = 2.7740262481051;
  constexpr double kDouble = 1e-9, kSingle = 1e-4;  // sums in another order; rounding of five steps
  const double wide = Trained(tiny_spec("fp64")).train(0, kSteps, drawn_batch);
  const double narrow = Trained(tiny_spec("fp32")).train(0, kSteps, drawn_batch);
  return {
      .name = "computes",
      .passed = std::abs(wide - kReference) < kDouble && std::abs(narrow - kReference) < kSingle,
      .detail = fmt::format("loss of step {}: {:.10f} in fp64, {:.6f} in fp32, {:.10f} expected",
                            kSteps,
                            wide,
                            narrow,
                            kReference)};
}

SmokeCheck check_learning() {
  constexpr std::int64_t kSteps = 150;
  constexpr double kAbove = 0.15;  // nats above the least possible
  Trained trained(tiny_spec("fp32"));
  const auto began = std::chrono::steady_clock::now();
  const double first = trained.train(0, 1);
  const double last = trained.train(1, kSteps);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const double tokens =
      static_cast<double>(kSteps * trained.spec.batch_sequences * trained.spec.context);
  return {
      .name = "learns",
      .passed = last < entropy() + kAbove,
      .detail = fmt::format("loss from {:.3f} to {:.3f} in {} steps, {:.3f} or less expected; {}/s",
                            first,
                            last,
                            kSteps,
                            entropy() + kAbove,
                            format_quantity(tokens / took.count(), "tok"))};
}

SmokeCheck check_resuming(Files& files, const Path& folder) {
  constexpr std::int64_t kHalf = 3, kSteps = 6;
  SmokeCheck check{.name = "resumes"};
  run::RunSpec spec = tiny_spec("fp32");
  spec.dropout = 0.1;
  Trained straight(spec), stopped(spec), resumed(spec);
  const double want = straight.train(0, kSteps);
  stopped.train(0, kHalf);

  run::RunFolder run_folder(files, folder / "run");
  CheckpointFolder checkpoints(files, run_folder, "smoke");
  Result<void> made = files.make_folders(run_folder.attempt_path(1));
  if (!made) return check.detail = made.error().what, check;
  const Result<Path> saved = checkpoints.save(
      1, kHalf, stopped.model.parameters(), stopped.optimiser, {{"updates", kHalf}});
  if (!saved) return check.detail = saved.error().what, check;
  std::vector<std::string> broken;
  const Result<std::optional<FoundCheckpoint>> found =
      checkpoints.load_newest(1, resumed.model.parameters(), resumed.optimiser, broken);
  if (!found) return check.detail = found.error().what, check;
  if (!*found) return check.detail = "the checkpoint just written cannot be read", check;
  resumed.optimiser.set_updates((*found)->progress.at("updates"));
  const double got = resumed.train(kHalf, kSteps);

  check.passed = got == want && at::equal(resumed.model.parameters().values(),
                                          straight.model.parameters().values());
  check.detail = fmt::format("{} steps, a checkpoint and {} more give {} bits of {} steps",
                             kHalf,
                             kSteps - kHalf,
                             check.passed ? "the" : "OTHER",
                             kSteps);
  return check;
}

}  // namespace

std::vector<SmokeCheck> smoke(Files& files,
                              const Path& folder,
                              const std::function<void(const SmokeCheck&)>& show) {
  at::set_num_threads(1);
  const Path own = folder / fmt::format("ration-smoke-{}", getpid());
  std::vector<SmokeCheck> checks;
  const auto run = [&](const std::string& name, const auto& check) {
    try {
      checks.push_back(check());
    } catch (const std::exception& e) {  // LibTorch throws
      checks.push_back({.name = name, .detail = e.what()});
    }
    show(checks.back());
  };
  run("starts", [] {
    return SmokeCheck{.name = "starts",
                      .passed = true,
                      .detail = fmt::format("LibTorch {}, CPU, one thread", TORCH_VERSION)};
  });
  run("writes", [&] { return check_writing(files, own); });
  run("computes", [] { return check_reference(); });
  run("learns", [] { return check_learning(); });
  run("resumes", [&] { return check_resuming(files, own); });
  run("cleans up", [&] {
    const Result<void> removed = files.remove_all(own);
    return SmokeCheck{.name = "cleans up",
                      .passed = static_cast<bool>(removed),
                      .detail = removed ? "removed what it wrote" : removed.error().what};
  });
  return checks;
}

}  // namespace ration::train
