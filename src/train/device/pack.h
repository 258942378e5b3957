#pragma once

// How training loops share a device. Each loop has a seat; a step is enqueued when every seated
// loop has brought its batch, and each takes its own result, at once or some steps later. With one
// seat it is how a single run uses a GPU. Loops stay ignorant of each other: one may resume at
// another step, evaluate, save, diverge or end while the others go on.
//
//   Pack pack(2, {.device = at::kCUDA});
//   in each of two threads: auto seat = pack.sit(spec, parameters, optimiser);
//                           seat->submit(batch, options); …; StepResult result = seat->take();

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/run.h"
#include "train/device/runs.h"
#include "train/model.h"

namespace ration::train::device {

class Seat;

class Pack {
 public:
  // How the runs share the device: all in each kernel, or each with kernels (and on a GPU a
  // recorded step) of its own.
  enum class Way { packed, side_by_side };

  Pack(std::int64_t members,
       const DeviceOptions& options,
       Way way = Way::packed,
       Json measured = nullptr)
      : options_(options), way_(way), measured_(std::move(measured)), expected_(members) {}
  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;

  // Blocks until every member sat down or gave up, then loads the run's weights. The spec must be
  // packable with the others' (why_not_packable); parameters and optimiser must outlive the seat.
  std::unique_ptr<Seat> sit(const run::RunSpec& spec, Parameters& parameters, AdamW& optimiser);

  Way way() const { return way_; }
  // What the choice of the way rests on, for the log; null when nothing was measured.
  const Json& measured() const { return measured_; }

  // A member that will not come.
  void give_up();

 private:
  friend class Seat;
  struct Member {
    run::RunSpec spec;
    Parameters* parameters = nullptr;
    AdamW* optimiser = nullptr;
    const Batch* batch = nullptr;  // brought for the next step
    double lr = 0;
    std::int64_t step = 0;
    bool present = true;
    std::deque<StepResult> results;  // that came back and were not taken
  };

  void submit(std::size_t seat, const Batch& batch, const StepOptions& options);
  StepResult take(std::size_t seat);
  double loss_sum(std::size_t seat, const TokenRows& rows);
  void token_losses(std::size_t seat, const TokenRows& rows, std::span<double> out);
  void store(std::size_t seat);
  void load(std::size_t seat);
  void leave(std::size_t seat);

  void start_if_complete();
  void run_if_complete();
  void run_round();
  void collect_oldest();
  DeviceRuns& runs_of(std::size_t seat);
  DeviceRuns& evaluator_of(std::size_t seat);
  std::int64_t index_of(std::size_t seat) const;

  DeviceOptions options_;
  Way way_;
  Json measured_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t expected_;  // members that are still to come, or seated
  std::vector<Member> members_;
  std::vector<std::unique_ptr<DeviceRuns>> runs_;  // one for all, or one each
  std::unique_ptr<DeviceRuns> evaluator_;          // of one run, where several are packed
  std::deque<std::vector<bool>> enqueued_;         // packed steps: who takes part
  std::int64_t waiting_ = 0, present_ = 0;
  std::uint64_t round_ = 0;
  bool started_ = false;
  std::exception_ptr failure_;  // of a step: every member gets it
};

class Seat {
 public:
  Seat(Pack& pack, std::size_t index) : pack_(pack), index_(index) {}
  ~Seat() { pack_.leave(index_); }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  // As train_step(), in two parts; micro-batches are those of the pack. submit() returns when the
  // step is enqueued, which may have to wait for the other members' batches; the batch may go then.
  void submit(const Batch& batch, const StepOptions& options) {
    pack_.submit(index_, batch, options);
  }
  // The result of the oldest submitted step that was not taken; waits for it.
  StepResult take() { return pack_.take(index_); }
  double loss_sum(const TokenRows& rows) { return pack_.loss_sum(index_, rows); }
  void token_losses(const TokenRows& rows, std::span<double> out) {
    pack_.token_losses(index_, rows, out);
  }
  // Brings weights and moments back into the parameters and the optimiser that were given.
  void store() { pack_.store(index_); }
  // The other way, after they were changed.
  void load() { pack_.load(index_); }

 private:
  Pack& pack_;
  std::size_t index_;
};

// What carries out the run: nothing where the processor's own passes do, else a seat in `pack`, or
// where that is null in a pack of its own.
struct Place {
  std::unique_ptr<Pack> own;
  std::unique_ptr<Seat> seat;
  std::string device = "cpu";  // for the log

  explicit operator bool() const { return seat != nullptr; }
};

// Also lets the model evaluate there. Errors: a GPU is asked for and there is none.
// The processes of `group` share the steps of a run that has the device to itself.
Result<Place> take_place(
    const run::RunFile& file, Pack* pack, Group& group, Model& model, AdamW& optimiser);

// The options that a run's execution settings mean. Error: no GPU.
Result<DeviceOptions> options_of(const run::RunFile& file);
// What carries out the run's products: a GPU in its precision, or the processor, in fp32 as far as
// its peak is concerned.
struct Computes {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;
};
Computes computes_on(const run::RunFile& file);
// True when a GPU carries out the run.
bool is_on_gpu(const run::RunFile& file);
// True when the processor's own passes carry out the run.
bool needs_no_device(const run::RunFile& file);

}  // namespace ration::train::device
