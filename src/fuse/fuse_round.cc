// What was accepted becomes the next base, or the base is kept.

#include <fmt/format.h>

#include <algorithm>

#include "base/fault.h"
#include "fuse/folder.h"
#include "fuse/judge.h"
#include "fuse/screen.h"

namespace ration::fuse {

Step step_of(const Context& context, const RoundRecord& record, const std::string& velocity) {
  Step step;
  step.base = record.base_file;
  step.op = context.config.op;
  step.op.seed += static_cast<std::uint64_t>(record.round - 1);  // other masks each round
  step.eta = record.eta;
  step.momentum = context.config.momentum;
  if (!velocity.empty()) step.velocity = velocity_file(context.folder, velocity);
  for (const Contribution& each : record.contributions)
    if (each.verdict == Verdict::accepted)
      step.parts.push_back({.contributor = each.contributor,
                            .model = each.file,
                            .from = base_file(context.folder, each.trained_from),
                            .weight = each.weight,
                            .scale = each.scale});
  return step;
}

Result<void> fuse_round(const Context& context, RoundRecord& record, const std::string& velocity) {
  const Path work = work_folder(context.folder);
  record.next = record.base;
  record.next_file = record.base_file;
  record.velocity = velocity;
  const auto accepted = std::count_if(
      record.contributions.begin(), record.contributions.end(), [](const Contribution& c) {
        return c.verdict == Verdict::accepted;
      });
  record.status = RoundStatus::empty;
  if (accepted == 0) return {};
  if (accepted == 1)
    record.warnings.push_back("one contribution alone was accepted: nothing is averaged");
  // The second try is with half of eta.
  for (int attempt = 0; attempt < (context.config.rollback ? 2 : 1); ++attempt) {
    if (attempt > 0) record.eta /= 2;
    Result<Stepped> stepped =
        fuse_step(context.files, step_of(context, record, velocity), work, context.threads);
    if (!stepped) return std::move(stepped).error();
    if (context.config.rollback) {
      Result<std::vector<std::vector<double>>> losses =
          context.hands.evaluate({record.base_file, stepped->model});
      if (!losses) return std::move(losses).error();
      record.probe_before = mean(losses->front());
      record.probe_after = mean(losses->back());
      const Change grown = change(losses->front(), losses->back());
      if (worse(context.config, grown)) {
        record.warnings.push_back(
            fmt::format("with eta = {:g} the probe's loss grows by {:.3f} nats (standard error "
                        "{:.3f})",
                        record.eta,
                        grown.mean,
                        grown.error));
        record.status = RoundStatus::rolled_back;
        continue;
      }
    }
    for (std::string& warning : stepped->warnings) record.warnings.push_back(std::move(warning));
    if (!stepped->velocity.empty()) {
      Result<std::string> kept =
          keep(context.files, stepped->velocity, context.folder / "velocities");
      if (!kept) return std::move(kept).error();
      record.velocity = *kept;
    }
    fault_point("fuse-before-base");
    Result<std::string> kept = keep(context.files, stepped->model, context.folder / "bases");
    if (!kept) return std::move(kept).error();
    fault_point("fuse-after-base");
    record.next = *kept;
    record.next_file = base_file(context.folder, *kept);
    record.status = RoundStatus::fused;
    return {};
  }
  return {};
}

}  // namespace ration::fuse
