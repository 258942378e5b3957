#pragma once

// Both places where attempts run, behind one interface: a sweep that was begun on the cluster can
// be continued here and the other way round, and each attempt is looked for where it was started.

#include <memory>

#include "scheduler/local_executor.h"
#include "scheduler/slurm/slurm_executor.h"

namespace ration::scheduler {

class Executors final : public Executor {
 public:
  // New attempts go to `chosen`.
  Executors(Files& files,
            Clock& clock,
            LocalOptions local,
            SlurmOptions cluster,
            ExecutorKind chosen = ExecutorKind::local);

  // Call once, before anything else.
  Result<void> open() { return slurm_.open(); }

  bool remote() const override { return chosen_ == ExecutorKind::slurm; }
  Result<Placement> start(const Launch& launch) override;
  Result<Sighting> find(const Launch& launch, const Placement& recorded) override;
  Result<std::vector<std::int64_t>> wait(double seconds, int wake) override;
  std::vector<std::int64_t> begun() const override;
  bool handed_on(std::int64_t attempt) const override { return slurm_.handed_on(attempt); }
  void stop(std::int64_t attempt, bool force) override;

 private:
  LocalExecutor local_;
  SlurmExecutor slurm_;
  ExecutorKind chosen_;
};

}  // namespace ration::scheduler
