#pragma once

// What the runs of a sweep may use up, and whether one more may be started within it.
//
//   Caps caps;
//   caps.flops = 1e18;
//   if (const std::string why = passed(caps, used, next); !why.empty()) …start nothing more…

#include <limits>
#include <string>

#include "store/store.h"

namespace ration::scheduler {

// All commands together. Each is above 0; infinity = no cap.
struct Caps {
  double flops = std::numeric_limits<double>::infinity();  // convention `exact`
  double hours = std::numeric_limits<double>::infinity();  // of slots: a process of a run takes one
  double cost = std::numeric_limits<double>::infinity();   // in the unit of `price`
  double price = 0;  // of a slot-hour; above 0 where there is a cap on `cost`

  bool any() const;
};

// What a run is expected to take: its compute, and the time of that at the speed at which `used`
// was used; before anything was used at `speed`, FLOP a slot does in a second. Unknown time is 0.
store::Usage expected(double flops, const store::Usage& used, double speed);

// The first cap that is reached, or that `next` on top of `used` would pass, in words; empty when
// there is room for it.
std::string passed(const Caps& caps, const store::Usage& used, const store::Usage& next);

// The caps, what is used of them and what `next` would add, one line each; for people.
std::string describe(const Caps& caps, const store::Usage& used, const store::Usage& next);

}  // namespace ration::scheduler
