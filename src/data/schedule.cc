#include "data/schedule.h"

#include "base/random.h"

namespace ration::data {

WindowSchedule::WindowSchedule(std::uint32_t windows, std::uint64_t seed, SchedulePosition position)
    : windows_(windows), seed_(seed), position_(position) {
  shuffle();
}

std::uint32_t WindowSchedule::next() {
  if (position_.index >= windows_) {
    position_ = {.epoch = position_.epoch + 1, .index = 0};
    shuffle();
  }
  return order_[position_.index++];
}

void WindowSchedule::shuffle() {
  order_ = permutation(windows_, Stream(seed_, StreamId::windows, position_.epoch));
}

}  // namespace ration::data
