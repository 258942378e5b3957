#include "train/bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "base/text.h"
#include "checkpoint/safetensors.h"
#include "run/count.h"
#include "run/mixture.h"
#include "train/batches.h"
#include "train/bench_device.h"
#include "train/bench_policy.h"
#include "train/coordinates.h"
#include "train/cpu/product.h"
#include "train/device/pack.h"
#include "train/memory.h"
#include "train/peak.h"
#include "train/products.h"
#include "train/setting_words.h"

namespace ration::train {
namespace {

constexpr double kSeconds = 3;            // of measured steps
constexpr std::int64_t kFewestSteps = 3;  // however slow
constexpr std::int64_t kMostSteps = 2000;

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Memory of our own that is resident now: not the code of libraries, which comes in page by page as
// it is first run.
double resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return 1024 * std::strtod(line.c_str() + 8, nullptr);
  return 0;
}

// Initial weights and the tokens of `steps` steps, for another program to start from.
Result<void> export_to(const Path& path,
                       const run::RunSpec& spec,
                       Parameters& parameters,
                       std::int64_t steps,
                       Files& files) {
  std::vector<at::Tensor> kept;
  std::vector<checkpoint::TensorView> views;
  const auto add = [&](const std::string& name, const at::Tensor& tensor, checkpoint::DType type) {
    kept.push_back(tensor.contiguous());
    const auto* bytes = static_cast<const std::byte*>(kept.back().const_data_ptr());
    views.push_back({name,
                     type,
                     std::vector<std::uint64_t>(tensor.sizes().begin(), tensor.sizes().end()),
                     {bytes, kept.back().nbytes()}});
  };
  for (const Parameters::Entry& entry : parameters.entries())
    add(entry.shape.name,
        entry.value.detach(),
        entry.value.scalar_type() == at::kDouble ? checkpoint::DType::f64 : checkpoint::DType::f32);
  std::vector<at::Tensor> tokens;
  for (std::int64_t step = 0; step < steps; ++step) tokens.push_back(drawn_tokens(spec, step));
  add("tokens", at::stack(tokens), checkpoint::DType::i64);
  Result<std::string> text = canonical_json(run::to_json(spec));
  if (!text) return std::move(text).error();
  return checkpoint::write_safetensors(files, path, std::move(views), {{"spec", *text}});
}

}  // namespace

Result<run::RunFile> bench_subject(const BenchOptions& options, Files& files) {
  run::RunFile file;
  if (options.run) {
    const Path path =
        options.run->filename() == "run.json" ? *options.run : *options.run / "run.json";
    Result<std::string> text = files.read(path);
    if (!text) return std::move(text).error();
    Result<run::RunFile> parsed = run::parse_run_json(*text, path.string());
    if (!parsed) return parsed;
    file = std::move(*parsed);
  } else {
    file.spec.family = "gpt2";
    file.spec.layers = 4;
    file.spec.context = 256;
    file.spec.schedule = "const";
    file.spec.lr = 1e-3;
    file.spec.tokens = 1;  // steps are counted instead
  }
  const auto has = [&](std::string_view name) {
    return std::any_of(options.settings.begin(), options.settings.end(), [&](const std::string& s) {
      return s.starts_with(name);
    });
  };
  // Settings that follow from others do so anew.
  if (has("width=") || has("family=") || has("mlp=")) file.spec.mlp_width = 0;
  if (has("family=")) file.spec.mlp = "auto";
  std::vector<Error> problems;
  for (const std::string& setting : options.settings)
    if (Result<void> done = apply_setting(setting, file); !done)
      problems.push_back(std::move(done).error());
  if (problems.empty()) {
    add_drawn_sources(file.spec);
    file.spec = run::resolve(file.spec);
    problems = run::check(file.spec);
    for (Error& more : run::check(file.execution)) problems.push_back(std::move(more));
  }
  if (!problems.empty()) return combine(std::move(problems), "settings that cannot be measured");
  return file;
}

Result<Json> bench(const BenchOptions& options, Files& files) {
  Result<run::RunFile> subject = bench_subject(options, files);
  if (!subject) return std::move(subject).error();
  const run::RunSpec& spec = subject->spec;
  const run::Execution& execution = subject->execution;
  at::set_num_threads(static_cast<int>(execution.threads));
  if (run::is_online(spec)) return bench_policy(*subject, options.steps);
  if (!device::needs_no_device(*subject) || options.runs > 1) {
    const std::int64_t steps = 1 + (options.steps > 0 ? options.steps : kFewestSteps);
    if (options.export_to) {
      Parameters parameters(spec, at::kFloat);
      if (Result<void> done = export_to(*options.export_to, spec, parameters, steps, files); !done)
        return std::move(done).error();
    }
    return bench_on_device(*subject, options.runs, options.steps);
  }
  const double resident_before = resident_bytes();
  Model model(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat);
  AdamW optimiser(spec, model.parameters());

  StageClock stages;
  std::vector<double> losses, cpu, wall;
  const auto step = [&](std::int64_t index, StageClock* clock) {
    if (clock != nullptr) clock->start();
    const double cpu_before = cpu_seconds();
    const auto began = std::chrono::steady_clock::now();
    const Batch batch = drawn_batch(spec, index);
    if (clock != nullptr) clock->lap(Stage::data);
    const StepResult result = train_step(model,
                                         optimiser,
                                         batch,
                                         {.lr = spec.lr,
                                          .clip = spec.clip,
                                          .micro_batch = execution.micro_batch_sequences,
                                          .step = index,
                                          .stages = clock});
    losses.push_back(result.loss);
    if (clock == nullptr) return;
    cpu.push_back(cpu_seconds() - cpu_before);
    wall.push_back(seconds_since(began));
  };

  ProductsChoice products{.by = "setting"};
  if (const std::optional<Products> asked = products_named(execution.products)) {
    products.products = *asked;
    model.passes().use(*asked);
  } else {
    constexpr std::int64_t kLongRun = 1'000'000;  // steps: worth measuring
    const std::int64_t micro = execution.micro_batch_sequences > 0 ? execution.micro_batch_sequences
                                                                   : spec.batch_sequences;
    products = measure_products(spec,
                                model.passes(),
                                drawn_batch(spec, 0),
                                sequences_at_once(spec, micro, spec.context, execution.threads),
                                kLongRun);
  }
  const std::int64_t exported = 1 + (options.steps > 0 ? options.steps : kFewestSteps);
  if (options.export_to)
    if (Result<void> done =
            export_to(*options.export_to, spec, model.parameters(), exported, files);
        !done)
      return std::move(done).error();
  const auto began = std::chrono::steady_clock::now();
  step(0, nullptr);  // touches all memory
  const double once = seconds_since(began);
  const std::int64_t steps =
      options.steps > 0
          ? options.steps
          : std::clamp(static_cast<std::int64_t>(kSeconds / once), kFewestSteps, kMostSteps);
  for (std::int64_t i = 1; i <= steps; ++i) step(i, &stages);
  const double resident = resident_bytes() - resident_before;
  const double peak = peak_flops_per_second(at::kCPU, at::kFloat);

  const auto tokens = static_cast<double>(spec.batch_sequences * spec.context);
  const double flops = run::flops_per_token(spec, run::FlopConvention::exact).value;
  const MemoryNeed need = memory_need(spec, execution);
  const run::ParamCounts params = run::count_params(spec);
  Json shares = Json::object();
  double total = 0;
  for (const auto& [stage, name] : kStages) total += stages.seconds(stage);
  for (const auto& [stage, name] : kStages)
    shares[std::string(name)] = stages.seconds(stage) / total;
  return Json{{"schema", "ration.bench/1"},
              {"device", "cpu"},
              {"kernels", cpu::vectors()},
              {"products", products.to_json()},
              {"threads", execution.threads},
              {"precision", spec.precision},
              {"params", {{"block", params.block}, {"total", params.total}}},
              {"tokens_per_step", tokens},
              {"steps", steps},
              {"cpu_s", median(cpu)},
              {"wall_s", median(wall)},
              {"tok_s", tokens / median(wall)},
              {"tok_cpu_s", tokens / median(cpu)},
              {"flops_per_token", flops},
              {"peak_flops_s", peak},
              {"mfu", flops * tokens / median(wall) / peak},
              {"memory",
               {{"predicted_bytes", need.total()},
                {"state_bytes", need.state_bytes},
                {"rearranged_bytes", need.rearranged_bytes},
                {"activation_bytes", need.activation_bytes},
                {"scratch_bytes", need.scratch_bytes},
                {"measured_bytes", resident}}},
              {"stages", std::move(shares)},
              {"losses", losses}};
}

Result<std::string> bench_coordinates(const BenchOptions& options, Files& files) {
  Result<run::RunFile> subject = bench_subject(options, files);
  if (!subject) return std::move(subject).error();
  at::set_num_threads(static_cast<int>(subject->execution.threads));
  const std::vector<std::int64_t> widths = {64, 128, 256, 512};
  std::string text = fmt::format("mean magnitude after 3 steps, parametrisation {}\n{:<20}",
                                 subject->spec.parametrisation,
                                 "width");
  for (const std::int64_t width : widths) text += fmt::format("{:>11}", width);
  text += "    largest/smallest\n";
  for (const Coordinate& coordinate : coordinate_check(subject->spec, widths, 3)) {
    text += fmt::format("{:<20}", coordinate.name);
    for (const double size : coordinate.sizes) text += fmt::format("{:>11.4g}", size);
    text += fmt::format("{:>15.2f}\n", coordinate.spread());
  }
  return text;
}

std::string bench_text(const Json& report) {
  if (report.contains("policy")) return bench_text_of_policy(report);
  if (report.contains("runs")) return bench_text_of_device(report);
  const auto quantity = [](const Json& value, const char* unit) {
    return format_quantity(value.get<double>(), unit);
  };
  const Json& memory = report.at("memory");
  std::string text = fmt::format(
      "model      {} parameters, {} tokens a step, {}, {} thread(s) on the CPU, kernels for {}\n"
      "products   {} ({})\n"
      "speed      {}/s, {} of CPU time; a step takes {:.4g} ms (median of {})\n"
      "MFU        {:.1f} % of {:.1f} GFLOP/s, the best of five fp32 products of 1024 x 1024 "
      "matrices\n"
      "memory     {} measured, {} predicted: {} weights, gradients and moments, {} transposed\n"
      "           weights, {} activations, {} scratch; LibTorch's own 110 MB are in neither\n"
      "loss       {:.4f} nats a token at first, {:.4f} at last (tokens are random: ln vocab is the "
      "least)\n"
      "time       ",
      quantity(report.at("params").at("total"), ""),
      report.at("tokens_per_step").get<std::int64_t>(),
      report.at("precision").get<std::string>(),
      report.at("threads").get<std::int64_t>(),
      report.at("kernels").get<std::string>(),
      report.at("products").at("chosen").get<std::string>(),
      report.at("products").at("by").get<std::string>(),
      quantity(report.at("tok_s"), "tok"),
      quantity(report.at("tok_cpu_s"), "tok/s"),
      1000 * report.at("wall_s").get<double>(),
      report.at("steps").get<std::int64_t>(),
      100 * report.at("mfu").get<double>(),
      report.at("peak_flops_s").get<double>() / 1e9,
      quantity(memory.at("measured_bytes"), "B"),
      quantity(memory.at("predicted_bytes"), "B"),
      quantity(memory.at("state_bytes"), "B"),
      quantity(memory.at("rearranged_bytes"), "B"),
      quantity(memory.at("activation_bytes"), "B"),
      quantity(memory.at("scratch_bytes"), "B"),
      report.at("losses").front().get<double>(),
      report.at("losses").back().get<double>());
  std::string_view separator;
  for (const auto& [stage, name] : kStages) {
    const double share = report.at("stages").at(std::string(name));
    text += fmt::format("{}{} {:.1f} %", separator, name, 100 * share);
    separator = ", ";
  }
  return text + "\n";
}

}  // namespace ration::train
