#include "scheduler/foresight.h"

#include <fmt/format.h>

namespace ration::scheduler {

bool suffices(const Foresight& rule, const Foreseen& foreseen, double fraction, double loss) {
  const double width = foreseen.high - foreseen.low;
  return fraction >= rule.after && width <= rule.within * foreseen.loss && loss >= foreseen.low;
}

std::string describe(const Foreseen& foreseen, double fraction) {
  return fmt::format(
      "the law predicts its final loss at {:.3g} % of its tokens: {:.4f} nats, {:.4f} to {:.4f} "
      "({:.3g} %)",
      100 * fraction,
      foreseen.loss,
      foreseen.low,
      foreseen.high,
      100 * foreseen.interval);
}

}  // namespace ration::scheduler
