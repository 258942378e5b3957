#pragma once

// The training loop of one attempt: steps, evaluations, checkpoints, events. Everything that must
// survive a resume is in Progress, parameters and optimiser; the rest follows from the spec.

#include <memory>
#include <optional>
#include <vector>

#include "run/run.h"
#include "train/batches.h"
#include "train/checkpoint_folder.h"
#include "train/device/pack.h"
#include "train/guard.h"
#include "train/heldout.h"
#include "train/learning_rate.h"
#include "train/surroundings.h"

namespace ration::train {

// What an attempt was given.
struct Assignment {
  run::RunFolder folder;
  run::RunFile file;
  int attempt = 1;
  std::string token;             // of the attempt; empty when a person started it
  device::Pack* pack = nullptr;  // of the runs that share its device; none: it has one of its own
  bool* seated = nullptr;        // set when it took its place among them
};

// Steps begin + 1 … end, as they are counted in the log.
struct StepRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// The numbers of a run on its way, stored with every checkpoint.
struct Progress {
  std::int64_t step = 0;     // optimiser steps done, skipped ones included
  std::int64_t windows = 0;  // sequences used
  std::int64_t updates = 0;  // steps that changed the weights
  double best_loss = 0;      // lowest held-out loss so far; meaningless while best_step < 0
  std::int64_t best_step = -1;
  double logged_loss = 0;  // sum of losses since the last train line
  std::int64_t logged_steps = 0;
  std::int64_t clipped = 0;      // of those, how many were clipped
  double last_train_loss = 0;    // mean of the last train line
  std::int64_t micro_batch = 0;  // smaller than asked for since memory ran out; 0 = as asked for
  std::int64_t rewinds = 0;
  std::vector<StepRange> left_out = {};  // steps whose batches a rewind passes over, ascending
};

class Training {
 public:
  Training(Surroundings& world, Assignment assignment, Windows train, Windows val);

  // Resumes when there is something to resume from, trains to the end, and says how it ended.
  // Errors are those of files.
  Result<run::WorkerExit> run();

 private:
  Result<void> begin();
  Result<run::WorkerExit> loop();
  Result<std::optional<StepResult>> step_within_memory(const Batch& batch);
  Result<void> go_on_from(const FoundCheckpoint& from);
  Result<bool> rewind(const StepResult& result);
  bool is_left_out(std::int64_t step) const;
  Result<std::optional<run::WorkerExit>> after_step(const StepResult& result,
                                                    Guard::Verdict verdict,
                                                    std::int64_t tokens_before);
  Result<void> log_train(const StepResult& result);
  Result<double> evaluate();
  Result<std::string> checkpoint();
  Result<run::WorkerExit> stop(std::string_view reason, run::WorkerExit exit);
  Result<run::WorkerExit> finish(std::string_view status);
  Result<bool> fenced();

  run::Event event(run::EventType type, Json values = Json::object()) const;
  Result<void> emit(run::EventType type, Json values = Json::object(), bool durable = false);
  std::int64_t tokens_seen() const;
  double epoch_of(std::int64_t tokens) const;
  void show(const StepResult& result);
  std::optional<double> mfu() const;

  Surroundings& world_;
  Assignment run_;
  const run::RunSpec& spec_;
  std::int64_t total_windows_;
  std::int64_t steps_;
  Model model_;
  AdamW optimiser_;
  device::Place place_;  // on a device; empty where the processor's passes train
  LearningRate rate_;
  HeldOut heldout_;
  std::int64_t val_tokens_;
  Windows train_windows_;
  std::unique_ptr<TrainingData> data_;
  CheckpointFolder checkpoints_;
  Guard guard_;
  Progress progress_;
  std::unique_ptr<run::EventWriter> log_;
  double began_ = 0;             // monotonic seconds
  double training_seconds_ = 0;  // of this attempt, without evaluations and checkpoints
  std::int64_t training_tokens_ = 0;
  double last_checkpoint_ = 0;
  double last_shown_ = -1;
  std::int64_t micro_batch_ = 0;  // sequences computed at once; 0 = all of a step
};

}  // namespace ration::train
