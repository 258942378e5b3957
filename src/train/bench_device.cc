#include "train/bench_device.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "run/count.h"
#include "train/batches.h"
#include "train/device/backend.h"
#include "train/device/pack.h"
#include "train/peak.h"

namespace ration::train {
namespace {

constexpr double kSeconds = 3;  // of measured steps
constexpr std::int64_t kFewestSteps = 3, kMostSteps = 2000;
constexpr int kWarmUp = 3;  // the first records the step

}  // namespace

Result<Json> bench_on_device(const run::RunFile& file, std::int64_t runs, std::int64_t steps) {
  Result<device::DeviceOptions> options = device::options_of(file);
  if (!options) return std::move(options).error();
  const run::RunSpec& spec = file.spec;
  const std::unique_ptr<device::DeviceRuns> on_device = device::make_device_runs(
      std::vector<run::RunSpec>(static_cast<std::size_t>(runs), spec), *options);
  const Parameters parameters(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  AdamW optimiser(spec, parameters);
  for (std::int64_t k = 0; k < runs; ++k) on_device->load(k, parameters, optimiser);

  std::vector<double> losses;
  std::int64_t begun = 0;
  const auto take = [&] { losses.push_back(on_device->take()[0].loss); };
  const auto advance = [&](std::int64_t count) {  // results are looked at one step late
    const auto began = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < count; ++i) {
      const Batch batch = drawn_batch(spec, begun);
      const device::RunStep step{.batch = &batch, .lr = spec.lr, .step = begun};
      on_device->submit(std::vector<device::RunStep>(static_cast<std::size_t>(runs), step));
      ++begun;
      if (on_device->pending() > 1) take();
    }
    while (on_device->pending() > 0) take();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  advance(kWarmUp);
  const double once = advance(1);
  if (steps == 0)
    steps = std::clamp(static_cast<std::int64_t>(kSeconds / once), kFewestSteps, kMostSteps);
  const double seconds = advance(steps) / static_cast<double>(steps);

  const auto tokens = static_cast<double>(runs * spec.batch_sequences * spec.context);
  const double flops = run::flops_per_token(spec, run::FlopConvention::exact).value;
  const device::Computes computes = device::computes_on(file);
  const double peak = peak_flops_per_second(computes.device, computes.type);
  const std::int64_t held = device::peak_device_bytes(options->device);
  const run::ParamCounts params = run::count_params(spec);
  return Json{{"schema", "ration.bench/1"},
              {"device", computes.device.is_cuda() ? "cuda" : "cpu"},
              {"runs", runs},
              {"precision", spec.precision},
              {"params", {{"block", params.block}, {"total", params.total}}},
              {"tokens_per_step", tokens},
              {"steps", steps},
              {"wall_s", seconds},
              {"tok_s", tokens / seconds},
              {"flops_per_token", flops},
              {"peak_flops_s", peak},
              {"mfu", flops * tokens / seconds / peak},
              {"memory",
               {{"predicted_bytes", device::predicted_bytes(spec, runs, *options)},
                {"measured_bytes", held > 0 ? held : on_device->bytes()}}},
              {"losses", losses}};
}

std::string bench_text_of_device(const Json& report) {
  const auto quantity = [](const Json& value, const char* unit) {
    return format_quantity(value.get<double>(), unit);
  };
  const bool on_gpu = report.at("device") == "cuda";
  const Json& memory = report.at("memory");
  return fmt::format(
      "model      {} x {} parameters, {} tokens a step of all, {}, {}\n"
      "speed      {}/s of all; a step takes {:.4g} ms (mean of {})\n"
      "MFU        {:.1f} % of {:.3g} TFLOP/s, the best of five products in {}\n"
      "memory     {} measured, {} predicted; the library's own work space comes on top\n"
      "loss       {:.4f} nats a token at first, {:.4f} at last (tokens are random: ln vocab is the "
      "least)\n",
      report.at("runs").get<std::int64_t>(),
      quantity(report.at("params").at("total"), ""),
      report.at("tokens_per_step").get<std::int64_t>(),
      report.at("precision").get<std::string>(),
      on_gpu ? "on the GPU" : "by the GPU's kernels on the processor",
      quantity(report.at("tok_s"), "tok"),
      1000 * report.at("wall_s").get<double>(),
      report.at("steps").get<std::int64_t>(),
      100 * report.at("mfu").get<double>(),
      report.at("peak_flops_s").get<double>() / 1e12,
      on_gpu ? report.at("precision").get<std::string>() : "fp32",
      quantity(memory.at("measured_bytes"), "B"),
      quantity(memory.at("predicted_bytes"), "B"),
      report.at("losses").front().get<double>(),
      report.at("losses").back().get<double>());
}

}  // namespace ration::train
