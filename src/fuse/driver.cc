#include "fuse/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/text.h"
#include "fuse/folder.h"
#include "fuse/probe.h"
#include "run/folder.h"
#include "store/store.h"

namespace ration::fuse {
namespace {

using scheduler::PlannedRun;
using scheduler::RunSummary;
using store::RunState;

Error interrupted(const std::string& name) {
  return {.kind = ErrorKind::interrupted,
          .what = fmt::format("{} is not at its end", name),
          .hint = "the same command continues"};
}

// What a finished run left.
Result<Trained> trained_by(Files& files, const Path& store, const PlannedRun& run) {
  const run::RunFolder folder(files, store::Layout{store}.run(run.id));
  Result<std::optional<Json>> result = folder.result();
  if (!result) return std::move(result).error();
  Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
  if (!checkpoint) return std::move(checkpoint).error();
  Trained trained{.run = run.id, .loss = std::numeric_limits<double>::quiet_NaN()};
  if (!*checkpoint || (*checkpoint)->empty()) {
    trained.reason = "its run has no checkpoint";
    return trained;
  }
  trained.model = folder.path() / **checkpoint / "model.safetensors";
  trained.tokens = (*result)->value("tokens", run.spec.tokens);
  trained.loss = (*result)->value("final_loss", trained.loss);
  return trained;
}

// The sweep of one call, while it is carried out.
class Training {
 public:
  Training(const Config& config, const Setup& setup, scheduler::Outside outside)
      : config_(config), setup_(setup), outside_(outside) {}

  Result<std::vector<Trained>> run(const std::vector<Task>& tasks,
                                   std::optional<double> until,
                                   std::int64_t& started) {
    const std::string name = sweep_name(setup_.name, fmt::format("r{}", tasks.back().round));
    const std::string text = sweep_text(config_, setup_, tasks, name);
    const Path file =
        std::filesystem::absolute(fusion_folder(setup_.store, setup_.name)) / (name + ".json");
    Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, file.string());
    if (!sweep) return std::move(sweep).error();
    Result<std::vector<PlannedRun>> runs = plan(config_, setup_, tasks, outside_.files);
    if (!runs) return std::move(runs).error();
    scheduler::SweepOptions options = setup_.options;
    options.store = setup_.store;
    options.expand = {};
    options.runs.reset();
    options.policy.keep_going = true;  // who fails is absent
    options.policy.max_failures = 0;
    options.policy.retries_bug = options.policy.retries_killed =
        static_cast<int>(config_.max_retries);
    if (until) options.engine.stop_at = *until;
    Result<RunSummary> summary = scheduler::run_sweep(*sweep, options, outside_);
    if (!summary) return std::move(summary).error();
    started += summary->launched;
    const bool late = until && outside_.clock.unix_seconds() >= *until;
    if (summary->detached) return interrupted(name);
    if (summary->cause == scheduler::StopCause::disk)
      return Error{.kind = ErrorKind::resource,
                   .what = fmt::format("the disk is full: {} is not at its end", name),
                   .hint = "make room; the same command continues"};
    if (summary->cause != scheduler::StopCause::none && !late) return interrupted(name);
    std::vector<Trained> trained;
    for (const PlannedRun& run : *runs) {
      Result<Trained> one = outcome(*summary, run, late);
      if (!one) return std::move(one).error();
      trained.push_back(std::move(*one));
    }
    return trained;
  }

 private:
  Result<Trained> outcome(const RunSummary& summary, const PlannedRun& run, bool late) {
    const auto row = std::find_if(summary.rows.begin(),
                                  summary.rows.end(),
                                  [&](const store::RunRow& each) { return each.run == run.id; });
    if (row == summary.rows.end())
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("run {} is not of sweep {}", run.id, summary.sweep.name)};
    if (row->state == RunState::done) return trained_by(outside_.files, setup_.store, run);
    Trained absent{.run = run.id, .loss = std::numeric_limits<double>::quiet_NaN()};
    const bool open = row->state == RunState::ready || row->state == RunState::active;
    absent.pending = late && open;
    absent.reason = fmt::format("run {} is {}{}{}",
                                run.id.substr(0, 12),
                                store::name(row->state),
                                row->reason.empty() ? "" : ": ",
                                row->reason);
    return absent;
  }

  const Config& config_;
  const Setup& setup_;
  scheduler::Outside outside_;
};

}  // namespace

Hands scheduled(const Config& config,
                const Setup& setup,
                const scheduler::PlannedRun& shape,
                scheduler::Outside outside,
                std::int64_t& trained) {
  Hands hands;
  hands.train = [&config, &setup, outside, &trained](const std::vector<Task>& tasks,
                                                     std::optional<double> until) {
    return Training(config, setup, outside).run(tasks, until, trained);
  };
  hands.evaluate = [&config, &setup, &shape, outside](const std::vector<Path>& models) {
    return evaluate_probes(config, setup, shape, outside, models);
  };
  hands.interrupted = [outside] {
    return outside.signals != nullptr && outside.signals->take() > 0;
  };
  hands.note = [outside](const std::string& text) { outside.observer.note(text); };
  return hands;
}

}  // namespace ration::fuse
