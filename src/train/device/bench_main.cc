// How fast a shape trains on a device: train-device-bench [SETTING=VALUE…]. One line: what it is,
// milliseconds a step, tokens a second of all runs, share of the GPU's peak, memory. Settings are
// those of `ration help settings`, and runs (packed side by side; default 1), steps (timed; default
// 20).

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "run/count.h"
#include "train/device/backend.h"
#include "train/device/pack.h"

namespace {

using namespace ration;

constexpr double kPeakBf16 = 989e12;  // FLOP/s of an H100 SXM, dense, as its data sheet says

run::Value value_of(std::string_view word) {
  if (word == "true" || word == "false") return word == "true";
  double number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code == std::errc() && end == word.data() + word.size()) {
    if (word.find_first_of(".eE") == std::string_view::npos)
      return static_cast<std::int64_t>(number);
    return number;
  }
  return std::string(word);
}

struct Asked {
  run::RunFile file;
  std::int64_t runs = 1, steps = 20;
};

Result<Asked> parse(int argc, char** argv) {
  Asked asked;
  asked.file.spec.precision = "bf16";
  asked.file.execution.device = "auto";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("\"{}\" is no SETTING=VALUE", word),
                   .hint = "for example: width=768 layers=12 device=cuda"};
    const std::string_view name = word.substr(0, equals);
    const run::Value value = value_of(word.substr(equals + 1));
    if (name == "runs" || name == "steps") {
      const auto* number = std::get_if<std::int64_t>(&value);
      if (number == nullptr || *number < 1)
        return Error{.kind = ErrorKind::usage, .what = fmt::format("{} is a whole number", name)};
      (name == "runs" ? asked.runs : asked.steps) = *number;
      continue;
    }
    Result<void> set = run::set(asked.file.execution, name, value);
    if (!set) set = run::set(asked.file.spec, name, value);
    if (!set) return std::move(set).error();
  }
  asked.file.spec = run::resolve(asked.file.spec);
  for (Error& problem : run::check(asked.file.spec)) return std::move(problem);
  return asked;
}

Result<void> measure(const Asked& asked) {
  using namespace ration::train;
  Result<device::DeviceOptions> options = device::options_of(asked.file);
  if (!options) return std::move(options).error();
  at::set_num_threads(static_cast<int>(asked.file.execution.threads));
  const run::RunSpec& spec = asked.file.spec;
  const std::vector<run::RunSpec> specs(static_cast<std::size_t>(asked.runs), spec);
  const std::unique_ptr<device::DeviceRuns> runs = device::make_device_runs(specs, *options);
  const Parameters parameters(spec, at::kFloat);
  AdamW optimiser(spec, parameters);
  for (std::int64_t k = 0; k < asked.runs; ++k) runs->load(k, parameters, optimiser);

  const at::Tensor tokens =
      at::randint(spec.vocab, {spec.batch_sequences, spec.context}, at::kLong);
  const Batch batch{tokens, tokens};
  std::vector<device::RunStep> steps(specs.size(), {.batch = &batch, .lr = 1e-4});
  StepResult last;
  const auto step = [&] {  // results are taken one step late, so that the device never waits
    runs->submit(steps);
    for (device::RunStep& each : steps) ++each.step;
    if (runs->pending() > 1) last = runs->take()[0];
  };
  for (int i = 0; i < 3; ++i) step();
  while (runs->pending() > 0) last = runs->take()[0];
  const auto started = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < asked.steps; ++i) step();
  while (runs->pending() > 0) last = runs->take()[0];
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;

  const double per_step = spent.count() / static_cast<double>(asked.steps);
  const double tokens_per_second = static_cast<double>(asked.runs * batch.tokens()) / per_step;
  const double flops = run::flops_per_token(spec, run::FlopConvention::exact).value;
  const std::int64_t peak = device::peak_device_bytes(options->device);
  fmt::print(
      "{:<7} {:>3} x {:>7.1f} M  {:>6} {:>5} tok/step  {:>9.2f} ms/step  {:>10.0f} tok/s  {:>5.1f} "
      "% of peak"
      "  {:>6.2f} GB (predicted {:.2f})  loss {:.4f}\n",
      spec.family,
      asked.runs,
      static_cast<double>(run::count_params(spec).total) / 1e6,
      spec.precision,
      batch.tokens(),
      1e3 * per_step,
      tokens_per_second,
      100 * tokens_per_second * flops / kPeakBf16,
      static_cast<double>(peak > 0 ? peak : runs->bytes()) / 1e9,
      static_cast<double>(device::predicted_bytes(spec, asked.runs, *options)) / 1e9,
      last.loss);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Result<Asked> asked = parse(argc, argv);
    const std::optional<Error> error =
        !asked ? std::optional(asked.error()) : [&]() -> std::optional<Error> {
      const Result<void> done = measure(*asked);
      return done ? std::nullopt : std::optional(done.error());
    }();
    if (!error) return 0;
    std::fputs(error->describe().c_str(), stderr);
    return 2;
  } catch (const std::exception& e) {  // LibTorch throws
    fmt::print(stderr, "error: LibTorch: {}\n", e.what());
    return 1;
  }
}
