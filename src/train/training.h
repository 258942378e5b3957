#pragma once

// The training loop of one attempt: steps, evaluations, checkpoints, events. Everything that must
// survive a resume is in Progress, parameters and optimiser; the rest follows from the spec.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "run/run.h"
#include "train/auxiliary.h"
#include "train/batches.h"
#include "train/checkpoint_folder.h"
#include "train/device/pack.h"
#include "train/guard.h"
#include "train/heldout.h"
#include "train/learning_rate.h"
#include "train/policy_time.h"
#include "train/processes/group.h"
#include "train/products.h"
#include "train/progress.h"
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
  Group* group = nullptr;        // of the processes that share each step; none: this one alone
};

class Training {
 public:
  // `auxiliary`: the windows of each source of spec.aux.
  Training(Surroundings& world,
           Assignment assignment,
           Windows train,
           Windows val,
           std::vector<Windows> auxiliary = {});

  // Resumes when there is something to resume from, trains to the end, and says how it ended.
  // Errors are those of files.
  Result<run::WorkerExit> run();

 private:
  // What an attempt continues from.
  struct Found {
    Json state;          // what a checkpoint says of progress; null: the run begins
    Json where;          // of the event that says so
    Json first_weights;  // where those came from, of a run that begins with others' weights
    std::vector<std::string> broken;
  };

  // A step that was begun, and whose result was not looked at.
  struct UnderWay {
    Batch batch;
    std::int64_t number = 0;                // 0-based
    std::int64_t tokens_before = 0;         // seen when it was begun
    bool left_out = false;                  // by a rewind: nothing is computed
    bool is_last = false;                   // what follows it needs the state that it leaves
    std::optional<StepResult> result = {};  // there at once where the processor computes it
    Json mixture = nullptr;  // for the train line, where it is due: as drawn up to this step
  };

  Result<void> begin();
  Result<run::WorkerExit> loop();
  Result<void> say_what_runs(const Found& found);
  Result<Found> find_state();
  Result<Found> trunk_state();
  void choose_products(const Found& found);
  bool must_checkpoint(std::int64_t step) const;
  bool must_evaluate(std::int64_t tokens_before, std::int64_t tokens) const;
  bool ends_epoch(std::int64_t tokens_before, std::int64_t tokens) const;
  void give_to_others(const Json& state);
  Result<void> take_from_leader();
  void share_weights();
  bool may_begin() const;
  Result<void> learn_before_first_step();
  bool is_logged(std::int64_t step) const;
  Result<void> begin_step();
  Result<void> compute(UnderWay& step);
  bool halve_micro_batch(std::int64_t sequences);
  Result<void> say_halved();
  StepResult end_step();
  Result<void> sit_down();
  Result<void> go_on_from(const Json& state);
  Result<bool> rewind(const StepResult& result);
  bool is_left_out(std::int64_t step) const;
  Result<std::optional<run::WorkerExit>> after_step(const UnderWay& step,
                                                    const StepResult& result,
                                                    Guard::Verdict verdict);
  Result<void> log_train(const StepResult& result);
  Result<double> evaluate();
  Result<std::string> checkpoint();
  Result<run::WorkerExit> stop(std::string_view reason, run::WorkerExit exit);
  Result<run::WorkerExit> finish(std::string_view status);
  Result<bool> fenced();

  run::Event event(run::EventType type, Json values = Json::object()) const;
  Result<void> emit(run::EventType type, Json values = Json::object(), bool durable = false);
  std::int64_t tokens_of(std::int64_t windows) const;
  std::int64_t tokens_seen() const { return tokens_of(progress_.windows); }
  double epoch_of(std::int64_t tokens) const;
  void show(const StepResult& result);
  std::optional<double> mfu() const;

  Surroundings& world_;
  Assignment run_;
  const run::RunSpec& spec_;
  std::unique_ptr<Group> alone_;
  Group& group_;  // only the process that leads it writes files
  std::int64_t total_windows_;
  std::int64_t steps_;
  Model model_;
  AdamW optimiser_;
  ProductsChoice products_;
  device::Place place_;  // on a device; empty where the processor's passes train
  LearningRate rate_;
  HeldOut heldout_;
  std::int64_t val_tokens_;
  Windows train_windows_;
  Auxiliary auxiliary_;
  std::unique_ptr<RewardGradients> rewards_;  // where the policy reads gradients
  Json mixture_log_;                          // of the last step looked at whose line is due
  PolicyTime policy_time_;                    // of the run, where the policy learns
  std::unique_ptr<TrainingData> data_;
  CheckpointFolder checkpoints_;
  Guard guard_;
  Progress progress_;  // of the steps whose results were looked at
  std::deque<UnderWay> under_way_;
  std::int64_t begun_windows_ = 0;  // progress_.windows and those of the steps under way
  bool holding_ = false;            // nothing is begun until all results are there
  CheckpointFolder::Keep keep_;
  std::unique_ptr<run::EventWriter> log_;
  double began_ = 0;  // monotonic seconds
  double loop_began_ = 0;
  double paused_seconds_ = 0;    // of this attempt: evaluations and checkpoints
  double training_seconds_ = 0;  // of this attempt, without these
  std::int64_t training_tokens_ = 0;
  double last_checkpoint_ = 0;
  double last_shown_ = -1;
  std::int64_t micro_batch_ = 0;  // sequences computed at once; 0 = all of a step
};

}  // namespace ration::train
