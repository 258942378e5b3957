#include "scheduler/simulation/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/random.h"

namespace ration::scheduler::simulation {
namespace {

// Purposes of draws.
enum : std::uint64_t {
  kPolicy = 1,
  kRun,
  kDisturbance,
  kCapacity,
  kNeed,
  kFate,  // fates draw more than one
  kHalving = 50,
};

constexpr double kStorm = 5000;  // seconds in which things go wrong

std::string name(const Fault& fault) {
  return fault.run < 0 ? fmt::format("d{}", fault.number)
                       : fmt::format("a{}.{}", fault.run, fault.number);
}

// A whole number at the start of `text`, which is taken off.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

std::optional<Fault> take_fault(std::string_view& text) {
  const bool of_attempt = take(text, "a");
  if (!of_attempt && !take(text, "d")) return std::nullopt;
  const auto first = take_number(text);
  if (!first) return std::nullopt;
  if (!of_attempt) return Fault{.run = -1, .number = static_cast<int>(*first)};
  if (!take(text, ".")) return std::nullopt;
  const auto second = take_number(text);
  if (!second) return std::nullopt;
  return Fault{.run = static_cast<int>(*first), .number = static_cast<int>(*second)};
}

}  // namespace

std::string name(const Scenario& scenario) {
  std::string text = fmt::format("seed={} runs={}", scenario.seed, scenario.runs);
  if (!scenario.only) return text;
  text += " faults=";
  for (const Fault& fault : *scenario.only) text += name(fault) + ",";
  if (text.back() == ',') text.pop_back();
  return text;
}

Result<Scenario> scenario(const std::string& name) {
  const Error wrong{.kind = ErrorKind::usage,
                    .what = fmt::format("\"{}\" names no history", name),
                    .hint = "for example: seed=17 runs=200 faults=d3,a12.1"};
  std::string_view rest = name;
  Scenario scenario;
  if (!take(rest, "seed=")) return wrong;
  const auto seed = take_number(rest);
  if (!seed || !take(rest, " runs=")) return wrong;
  const auto runs = take_number(rest);
  if (!runs || *runs < 1 || *runs > 100'000) return wrong;
  scenario.seed = *seed;
  scenario.runs = static_cast<int>(*runs);
  if (rest.empty()) return scenario;
  if (!take(rest, " faults=")) return wrong;
  scenario.only.emplace();
  while (!rest.empty()) {
    const auto fault = take_fault(rest);
    if (!fault || (!rest.empty() && !take(rest, ","))) return wrong;
    scenario.only->insert(*fault);
  }
  return scenario;
}

Story::Story(const Scenario& scenario) : scenario_(scenario) {
  const auto whole = [&](std::uint64_t which, int low, int high) {
    return low + static_cast<int>(draw(kPolicy, which) * (high - low + 1));
  };
  policy_.slots = whole(0, 1, 24);
  policy_.retries_killed = whole(1, 0, 3);
  policy_.retries_bug = whole(2, 0, 2);
  policy_.max_failures = draw(kPolicy, 3) < 0.2 ? whole(4, 1, 20) : 0;
  policy_.keep_going = draw(kPolicy, 5) < 0.4;
  hosts_ = whole(6, 1, 12);
  constexpr std::array<double, 4> kRates = {0.02, 0.1, 0.3, 0.6};
  fault_rate_ = kRates[static_cast<std::size_t>(draw(kPolicy, 7) * kRates.size())];
  calm_ = kStorm;
  draw_capacity();
  draw_runs();
  draw_caps();
  draw_halving();
  draw_disturbances();
}

double Story::draw(std::uint64_t what, std::uint64_t a, std::uint64_t b) const {
  const std::uint64_t word = mix(mix(mix(mix(scenario_.seed) ^ what) ^ a) ^ b);
  return static_cast<double>(word >> 11) * 0x1p-53;
}

void Story::draw_capacity() {
  weights_.resize(1 + static_cast<std::size_t>(draw(kCapacity, 0) * 3));
  for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = 1 + 4 * draw(kCapacity, 1, i);
  if (draw(kCapacity, 2) < 0.5) capacity_.threads = 2 + static_cast<int>(draw(kCapacity, 3) * 14);
  if (draw(kCapacity, 4) < 0.5) return;
  const auto gpus = 1 + static_cast<std::size_t>(draw(kCapacity, 5) * 4);
  for (std::size_t i = 0; i < gpus; ++i)
    capacity_.gpus.push_back(
        {.uuid = fmt::format("GPU-{}", i), .bytes = draw(kCapacity, 6, i) < 0.5 ? 40e9 : 80e9});
}

Need Story::draw_need(std::uint64_t run) const {
  const auto u = [&](std::uint64_t which) { return draw(kNeed, run, which); };
  constexpr std::array<int, 6> kThreads = {1, 1, 1, 2, 4, 20};
  Need need{.threads = kThreads[static_cast<std::size_t>(u(0) * kThreads.size())]};
  if (capacity_.gpus.empty() || u(1) < 0.3) return need;
  need.gpus = u(2) < 0.1 ? 2 : 1;
  if (need.gpus > 1) return need;
  constexpr std::array<double, 4> kBytes = {10e9, 20e9, 40e9, 75e9};  // the last fits in no GPU
  if (u(3) < 0.4) need.gpu_share = u(4) < 0.5 ? 0.25 : 1.0 / 3;
  if (u(3) > 0.6) need.gpu_bytes = kBytes[static_cast<std::size_t>(u(4) * u(4) * kBytes.size())];
  return need;
}

Gate Story::draw_gate(std::uint64_t run) const {
  const auto u = [&](std::uint64_t which) { return draw(kNeed, run, 100 + which); };
  std::set<std::size_t> parents;
  const std::uint64_t count = 1 + static_cast<std::uint64_t>(u(0) * 4);
  for (std::uint64_t i = 0; i < count; ++i)
    parents.insert(static_cast<std::size_t>(u(10 + i) * static_cast<double>(run)));
  Gate gate;
  for (const std::size_t node : parents) {
    Parent parent;
    parent.node = node;
    gate.parents.push_back(parent);
  }
  gate.quorum = static_cast<std::size_t>(u(1) * static_cast<double>(parents.size() + 1));
  if (u(2) < 0.7) gate.deadline_seconds = 30 + 2000 * u(3);
  gate.on_stall = static_cast<OnStall>(u(4) * 4);
  return gate;
}

void Story::draw_runs() {
  for (int i = 0; i < scenario_.runs; ++i) {
    const auto u = [&, run = static_cast<std::uint64_t>(i)](std::uint64_t which) {
      return draw(kRun, run, which);
    };
    RunPlan run;
    run.work_seconds = 20 * std::exp(4 * u(0));
    run.checkpoint_seconds = run.work_seconds * (0.05 + 0.5 * u(1));
    if (i > 0 && u(2) < 0.15) {
      run.trunk = static_cast<int>(u(3) * i);
      run.trunk_seconds = u(4) * runs_[static_cast<std::size_t>(run.trunk)].work_seconds;
    }
    if (i > 4 && run.trunk < 0 && u(6) < 0.12) run.gate = draw_gate(static_cast<std::uint64_t>(i));
    run.need = draw_need(static_cast<std::uint64_t>(i));
    run.sweep = static_cast<std::size_t>(u(5) * static_cast<double>(weights_.size()));
    run.priority = 3 - 4 * i / scenario_.runs;
    runs_.push_back(run);
  }
}

// A second of work is one FLOP.
void Story::draw_caps() {
  double work = 0;
  for (const RunPlan& run : runs_) work += run.work_seconds;
  if (draw(kPolicy, 8) < 0.3) policy_.caps.flops = work * (0.1 + draw(kPolicy, 9));
  if (draw(kPolicy, 10) < 0.2) policy_.caps.hours = work / 3600 * (0.1 + draw(kPolicy, 11));
  if (draw(kPolicy, 12) < 0.5) speed_ = 0.5 + draw(kPolicy, 13);
}

// Trunks and branches are never compared.
void Story::draw_halving() {
  if (draw(kHalving, 0) < 0.5) return;
  const double first = 0.05 + 0.3 * draw(kHalving, 1);
  halving_ = {.eta = 2 + 2 * draw(kHalving, 2),
              .rungs = {first, first + 0.6 * draw(kHalving, 3)},
              .least = 2 + static_cast<int>(draw(kHalving, 4) * 5)};
  if (draw(kHalving, 12) < 0.5)
    foresight_ = {.after = 0.2 + 0.7 * draw(kHalving, 13), .within = 0.01};
  brackets_ = 1 + static_cast<std::size_t>(draw(kHalving, 5) * 3);
  std::set<int> trunks;
  for (const RunPlan& run : runs_) trunks.insert(run.trunk);
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i].trunk >= 0 || trunks.contains(static_cast<int>(i))) continue;
    runs_[i].configuration = i / 2;
    runs_[i].bracket =
        static_cast<std::size_t>(draw(kHalving, 6, i / 2) * static_cast<double>(brackets_));
    runs_[i].loss = 3 + draw(kHalving, 7, i / 2) + 0.2 * draw(kHalving, 8, i);
    if (!foresight_ || draw(kHalving, 9, i) < 0.7) continue;
    const double loss = runs_[i].loss + 0.4 * draw(kHalving, 10, i) - 0.2;
    const double half = 0.03 * draw(kHalving, 11, i);
    runs_[i].foreseen = {.loss = loss, .low = loss - half, .high = loss + half, .interval = 0.9};
  }
}

void Story::draw_disturbances() {
  constexpr int kMost = 40;
  const int count = static_cast<int>(draw(kDisturbance, 0) * kMost);
  for (int i = 0; i < count; ++i) {
    const auto u = [&, which = static_cast<std::uint64_t>(i + 1)](std::uint64_t member) {
      return draw(kDisturbance, which, member);
    };
    disturbances_.push_back({.kind = static_cast<DisturbanceKind>(u(0) * kDisturbances),
                             .at = u(1) * kStorm,
                             .choice = static_cast<std::uint64_t>(u(2) * (1 << 30)),
                             .size = u(3)});
  }
  std::stable_sort(disturbances_.begin(), disturbances_.end(), [](const auto& a, const auto& b) {
    return a.at < b.at;
  });
}

Fate Story::fate(int run, int number, double now) const {
  const auto u = [&](std::uint64_t which) {
    return draw(kFate + which, static_cast<std::uint64_t>(run), static_cast<std::uint64_t>(number));
  };
  if (now >= calm_ || u(0) >= fault_rate_ || !happens({.run = run, .number = number})) return {};
  using enum FailureClass;
  Fate fate;
  fate.fraction = u(1);
  fate.report_seconds = u(2) < 0.2 ? 300 * u(3) : 0;
  fate.reported_twice = u(4) < 0.2;
  const double kind = u(5);
  if (kind < 0.08) {
    fate.kind = Fate::Kind::vanishes;
  } else if (kind < 0.14) {
    fate.kind = Fate::Kind::never_starts;
  } else if (kind < 0.16) {
    fate.kind = Fate::Kind::is_refused;
  } else if (kind < 0.26) {  // ends well, but late or twice
    fate.fraction = 1;
  } else {
    // The frequent ones more than once.
    constexpr std::array<FailureClass, 16> kClasses = {config,
                                                       data,
                                                       diverged,
                                                       out_of_memory,
                                                       out_of_memory,
                                                       preempted,
                                                       preempted,
                                                       killed,
                                                       killed,
                                                       bug,
                                                       bug,
                                                       fenced,
                                                       oom_host,
                                                       timeout,
                                                       timeout,
                                                       node_failure};
    fate.kind = Fate::Kind::fails;
    fate.failure = kClasses[static_cast<std::size_t>(u(6) * kClasses.size())];
  }
  return fate;
}

}  // namespace ration::scheduler::simulation
