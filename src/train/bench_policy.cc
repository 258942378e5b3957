#include "train/bench_policy.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "run/count.h"
#include "run/mixture.h"
#include "train/auxiliary.h"
#include "train/device/pack.h"
#include "train/peak.h"
#include "train/policy_time.h"
#include "train/products.h"
#include "train/stopwatch.h"

namespace ration::train {
namespace {

constexpr double kSeconds = 6;  // of measured pairs
constexpr std::int64_t kFewestPairs = 3, kMostPairs = 1000;
constexpr int kWarmUp = 2;              // pairs that are not counted
constexpr std::int64_t kWindows = 256;  // of the target and of each source

struct Sample {
  double wall = 0, cpu = 0;  // s
};

Sample timed(const std::function<void()>& body) {
  Sample sample;
  const double cpu = cpu_seconds();
  {
    const Stopwatch watch(sample.wall);
    body();
  }
  sample.cpu = cpu_seconds() - cpu;
  return sample;
}

double quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(at * static_cast<double>(values.size() - 1) + 0.5)];
}

Windows drawn_windows(const run::RunSpec& spec, std::uint64_t number) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(kWindows * spec.context + 1));
  Stream stream(static_cast<std::uint64_t>(spec.seed), StreamId::windows, number);
  for (std::int32_t& token : tokens)
    token = static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(spec.vocab)));
  return {std::move(tokens), spec.context};
}

std::vector<Windows> drawn_sources(const run::RunSpec& spec) {
  std::vector<Windows> sources;
  const std::size_t count = run::parse_aux(spec.aux).value().size();  // checked with the spec
  for (std::size_t i = 0; i < count; ++i) sources.push_back(drawn_windows(spec, 1 + i));
  return sources;
}

// What computes a step: the processor's passes, or a device.
class Subject {
 public:
  Subject(const run::RunFile& file, const run::RunSpec& spec)
      : micro_batch_(file.execution.micro_batch_sequences),
        model_(spec, spec.precision == "fp64" ? at::kDouble : at::kFloat),
        optimiser_(spec, model_.parameters()),
        group_(alone()),
        lr_(spec.lr) {
    if (run::reads_gradients(spec))
      rewards_ = std::make_unique<RewardGradients>(spec, reward_regions(spec, model_.parameters()));
    model_.passes().use(products_named(file.execution.products).value_or(usual_products()));
  }

  Result<void> sit_down(const run::RunFile& file) {
    Result<device::Place> place =
        device::take_place(file, /*pack=*/nullptr, *group_, model_, optimiser_);
    if (!place) return std::move(place).error();
    place_ = std::move(*place);
    return {};
  }

  StepResult step(const Batch& batch, std::int64_t index, bool only_look = false) {
    const StepOptions options{.lr = lr_,
                              .micro_batch = micro_batch_,
                              .step = index,
                              .group = group_.get(),
                              .rewards = rewards_.get(),
                              .only_look = only_look};
    if (!place_) return train_step(model_, optimiser_, batch, options);
    place_.seat->submit(batch, options);
    return place_.seat->take();
  }

 private:
  std::int64_t micro_batch_;
  Model model_;
  AdamW optimiser_;
  std::unique_ptr<Group> group_;
  double lr_;
  std::unique_ptr<RewardGradients> rewards_;
  device::Place place_;
};

}  // namespace

void add_drawn_sources(run::RunSpec& spec) {
  if (!spec.aux.empty() || (spec.policy == "fixed" && spec.aux_share == 0)) return;
  spec.aux =
      run::aux_text({{.data_digest = sha256_hex("first")}, {.data_digest = sha256_hex("second")}});
  if (spec.aux_share == 0 && spec.aux_schedule.empty()) spec.aux_share = 0.5;
}

Result<Json> bench_policy(const run::RunFile& file, std::int64_t steps) {
  run::RunSpec spec = file.spec;  // long enough for all that is measured
  spec.tokens = (kMostPairs + kWarmUp + 1) * spec.batch_sequences * spec.context;
  Subject subject(file, spec);
  if (Result<void> done = subject.sit_down(file); !done) return std::move(done).error();
  const Windows target = drawn_windows(spec, 0);
  Auxiliary auxiliary(spec, drawn_sources(spec));
  TrainingData data(target, static_cast<std::uint64_t>(spec.seed), {});

  double before_first = 0;
  if (const std::optional<Batch> batch = auxiliary.before_first_step(target))
    before_first =
        timed([&] { auxiliary.begin_with(subject.step(*batch, 0, /*only_look=*/true)); }).wall;

  std::vector<double> fixed_cpu, fixed_wall, policy_cpu, policy_wall, by_cpu, by_wall;
  PolicyTime measured;
  const auto pair = [&](std::int64_t index, bool counts) -> Result<void> {
    const std::int64_t begin = index * spec.batch_sequences;
    const std::int64_t other =
        auxiliary.sequences(begin + spec.batch_sequences) - auxiliary.sequences(begin);
    std::optional<Batch> batch = auxiliary.with(data.next(spec.batch_sequences - other), other);
    if (!batch)
      return Error{.kind = ErrorKind::usage,
                   .what = "all sources are at their max_epochs",
                   .hint = "measure without max_epochs"};
    const Batch plain{batch->inputs, batch->targets};
    Sample fixed, policy;
    const auto without = [&] { fixed = timed([&] { subject.step(plain, index); }); };
    const auto with = [&] {
      policy = timed([&] {
        const StepResult result = subject.step(*batch, index);
        if (counts) measured.policy += result.policy_seconds;
        auxiliary.end_step(*batch, result);
      });
    };
    if (index % 2 == 0)
      without(), with();
    else
      with(), without();
    if (!counts) return {};
    measured.training += policy.wall;
    fixed_cpu.push_back(fixed.cpu), fixed_wall.push_back(fixed.wall);
    policy_cpu.push_back(policy.cpu), policy_wall.push_back(policy.wall);
    by_cpu.push_back(policy.cpu / fixed.cpu - 1);
    by_wall.push_back(policy.wall / fixed.wall - 1);
    return {};
  };
  double once = 0;
  for (std::int64_t i = 0; i < kWarmUp; ++i) {
    once = 0;
    const Stopwatch watch(once);
    if (Result<void> done = pair(i, false); !done) return std::move(done).error();
  }
  if (steps == 0) steps = static_cast<std::int64_t>(kSeconds / std::max(once, 1e-6));
  steps = std::clamp(steps, kFewestPairs, kMostPairs);
  for (std::int64_t i = 0; i < steps; ++i)
    if (Result<void> done = pair(kWarmUp + i, true); !done) return std::move(done).error();

  const auto convention = run::FlopConvention::exact;
  const double per_token = run::flops_per_token(spec, convention).value;
  run::RunSpec without_warmup = spec;
  if (spec.policy == "ucb1") without_warmup.policy = "exp3";
  const double formula = run::run_flops(without_warmup, convention).value /
                             (per_token * static_cast<double>(spec.tokens)) -
                         1;
  const run::ParamCounts params = run::count_params(spec);
  const auto spread = [](const std::vector<double>& values) {
    return Json{{"median", quantile(values, 0.5)},
                {"quartiles", {quantile(values, 0.25), quantile(values, 0.75)}}};
  };
  return Json{{"schema", "ration.bench/1"},
              {"policy", spec.policy},
              {"reward_params", spec.reward_params},
              {"pulls", spec.policy_pulls},
              {"sources", run::parse_aux(spec.aux).value().size()},
              {"aux_share", spec.aux_share},
              {"device", device::is_on_gpu(file) ? "cuda" : "cpu"},
              {"threads", file.execution.threads},
              {"precision", spec.precision},
              {"params", {{"block", params.block}, {"total", params.total}}},
              {"tokens_per_step", spec.batch_sequences * spec.context},
              {"steps", steps},
              {"fixed_cpu_s", quantile(fixed_cpu, 0.5)},
              {"fixed_wall_s", quantile(fixed_wall, 0.5)},
              {"policy_cpu_s", quantile(policy_cpu, 0.5)},
              {"policy_wall_s", quantile(policy_wall, 0.5)},
              {"overhead_cpu", spread(by_cpu)},
              {"overhead_wall", spread(by_wall)},
              {"policy_overhead", measured.overhead().value_or(0)},
              {"formula", formula},
              {"before_first_step_s", before_first}};
}

std::string bench_text_of_policy(const Json& report) {
  const auto percent = [&](const Json& share) { return 100 * share.get<double>(); };
  const Json& overhead = report.at("overhead_cpu");
  return fmt::format(
      "model      {} parameters, {} tokens a step, {}\n"
      "policy     {}, {} pull(s) a step, rewards of {}, {} sources\n"
      "steps      {:.4g} ms of CPU time, {:.4g} ms without the policy (medians of {} in turn)\n"
      "overhead   {:.2f} % of CPU time (quartiles {:.2f} and {:.2f} %), {:.2f} % of wall time\n"
      "           {:.2f} % as a run measures it (policy_overhead), {:.2f} % by the formula of "
      "FLOPs\n"
      "before     {:.4g} s before the first step\n",
      format_quantity(report.at("params").at("total").get<double>()),
      report.at("tokens_per_step").get<std::int64_t>(),
      report.at("precision").get<std::string>(),
      report.at("policy").get<std::string>(),
      report.at("pulls").get<std::int64_t>(),
      report.at("reward_params").get<std::string>(),
      report.at("sources").get<std::int64_t>(),
      1000 * report.at("policy_cpu_s").get<double>(),
      1000 * report.at("fixed_cpu_s").get<double>(),
      report.at("steps").get<std::int64_t>(),
      percent(overhead.at("median")),
      percent(overhead.at("quartiles").at(0)),
      percent(overhead.at("quartiles").at(1)),
      percent(report.at("overhead_wall").at("median")),
      percent(report.at("policy_overhead")),
      percent(report.at("formula")),
      report.at("before_first_step_s").get<double>());
}

}  // namespace ration::train
