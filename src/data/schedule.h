#pragma once

// Which window comes when: repetition without replacement, reshuffled every epoch, fractional last
// epoch. Known answers: tests/vectors/sampler_reference.json.

#include <cstdint>
#include <vector>

namespace ration::data {

// The whole state of a sampler; stored in checkpoints.
struct SchedulePosition {
  std::uint64_t epoch = 0;
  std::uint64_t index = 0;  // windows of this epoch already used
  bool operator==(const SchedulePosition&) const = default;
};

// Epoch e is a fresh permutation of the n windows from (seed, StreamId::windows, e); epochs follow
// each other without a gap. Invariant: the counts of any two windows differ by at most 1 at any
// time. Needs windows >= 1. Continuing from a stored position costs one shuffle.
class WindowSchedule {
 public:
  WindowSchedule(std::uint32_t windows, std::uint64_t seed, SchedulePosition position = {});

  std::uint32_t next();  // the next window, 0 … windows-1
  SchedulePosition position() const { return position_; }

 private:
  void shuffle();

  std::uint32_t windows_;
  std::uint64_t seed_;
  SchedulePosition position_;
  std::vector<std::uint32_t> order_;
};

}  // namespace ration::data
