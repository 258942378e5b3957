#include "scheduler/executors.h"

#include <algorithm>

namespace ration::scheduler {

Executors::Executors(
    Files& files, Clock& clock, LocalOptions local, SlurmOptions cluster, ExecutorKind chosen)
    : local_(files, std::move(local)), slurm_(files, clock, std::move(cluster)), chosen_(chosen) {}

Result<Placement> Executors::start(const Launch& launch) {
  if (chosen_ == ExecutorKind::slurm) return slurm_.start(launch);
  return local_.start(launch);
}

Result<Sighting> Executors::find(const Launch& launch, const Placement& recorded) {
  if (slurm_.knows(launch.token)) return slurm_.find(launch, recorded);
  return local_.find(launch, recorded);
}

Result<std::vector<std::int64_t>> Executors::wait(double seconds, int wake) {
  if (chosen_ == ExecutorKind::local && slurm_.idle()) return local_.wait(seconds, wake);
  // Those of this machine are looked at each time that the cluster is, about once a second.
  Result<std::vector<std::int64_t>> ended = local_.wait(0, -1);
  if (!ended) return ended;
  Result<std::vector<std::int64_t>> more = slurm_.wait(ended->empty() ? seconds : 0, wake);
  if (!more) return more;
  ended->insert(ended->end(), more->begin(), more->end());
  return ended;
}

std::vector<std::int64_t> Executors::begun() const {
  std::vector<std::int64_t> attempts = local_.begun();
  const std::vector<std::int64_t> more = slurm_.begun();
  attempts.insert(attempts.end(), more.begin(), more.end());
  std::sort(attempts.begin(), attempts.end());
  return attempts;
}

void Executors::stop(std::int64_t attempt, bool force) {
  // Each knows its own attempts, and does nothing about others.
  local_.stop(attempt, force);
  slurm_.stop(attempt, force);
}

}  // namespace ration::scheduler
