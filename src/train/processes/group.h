#pragma once

// The processes that train one run together: each computes a share of every step's sequences, the
// gradients are summed over all, and every process makes the same update. Through LibTorch's c10d:
// Gloo between processors, NCCL between GPUs.
//
//   Result<std::unique_ptr<Group>> group = join(*meeting_of_environment(), {.timeout_seconds =
//   60});
//   (*group)->sum(gradients);
//
// All processes must make the same calls in the same order. A process that is gone, or silent for
// longer than the timeout, makes the others' calls throw GroupLost.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/files.h"
#include "base/result.h"

namespace ration::train {

struct GroupLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Group {
 public:
  virtual ~Group() = default;
  virtual int rank()
      const = 0;  // 0 … size - 1; the process of rank 0 writes events and checkpoints
  virtual int size() const = 0;
  bool leads() const { return rank() == 0; }

  // Sums a contiguous tensor over all processes, in place; each gets the same bits.
  virtual void sum(const at::Tensor& flat) = 0;
  // Copies a contiguous tensor of rank 0 to all others, in place.
  virtual void share(const at::Tensor& tensor) = 0;

  // The same for numbers and texts.
  double sum(double number);
  bool any(bool flag) { return sum(flag ? 1.0 : 0.0) > 0; }
  std::int64_t share(std::int64_t number);
  std::string share(std::string text);
};

// A run that one process carries out.
std::unique_ptr<Group> alone();

// Where processes find each other: a file that all of them reach, or a port of rank 0's host.
struct Meeting {
  int rank = 0;
  int size = 1;
  Path file = {};  // must not exist before the first of them comes
  std::string host = {};
  int port = 0;
};

// RANK and WORLD_SIZE with RATION_MEETING (the file), or MASTER_ADDR and MASTER_PORT, as launchers
// of the field set them. Nothing where WORLD_SIZE is not set. Error: they make no sense.
Result<std::optional<Meeting>> meeting_of_environment();

struct GroupOptions {
  double timeout_seconds = 600;  // of any wait for another process
  bool on_gpu = false;           // tensors lie on GPUs
};
// Blocks until all have come. Errors: somebody did not, or this build has no NCCL.
Result<std::unique_ptr<Group>> join(const Meeting& meeting, const GroupOptions& options);

// The part of `count` sequences that is `rank`'s: as even as can be, in order, perhaps nothing.
struct Share {
  std::int64_t first = 0;
  std::int64_t count = 0;
};
inline Share share_of(std::int64_t count, const Group& group) {
  const std::int64_t begin = count * group.rank() / group.size();
  return {.first = begin, .count = count * (group.rank() + 1) / group.size() - begin};
}

}  // namespace ration::train
