#include "fuse/quorum.h"

namespace ration::fuse {

Next decide(const Config& config, const Waiting& waiting) {
  const bool enough = waiting.in >= config.least(waiting.of);
  const bool all_ended = waiting.coming == 0;
  if (enough && (all_ended || waiting.past_deadline)) return Next::close;
  if (!all_ended && !waiting.past_deadline) return Next::wait;
  switch (config.on_stall) {
    case Stall::wait:
      break;
    case Stall::extend:
      // More time is of no use to those that have failed.
      if (!all_ended) return Next::extend;
      break;
    case Stall::fuse_anyway:
      return Next::close;
    case Stall::abort:
      return Next::abort;
  }
  return all_ended ? Next::stall : Next::wait;
}

}  // namespace ration::fuse
