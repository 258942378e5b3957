#pragma once

// Ending runs whose final loss a law already tells. The law is not known here: a prediction comes
// from whoever starts the sweep, and is judged with what the run itself has shown.

#include <string>

namespace ration::scheduler {

struct Foresight {
  // Least part of its tokens that a run has seen, above 0 and below 1. Half: a run that differs
  // from what the law says has shown it by then, more often than not.
  double after = 0.5;
  // Widest interval, as a part of the predicted loss, above 0 and below 1. One per cent is about
  // what seeds make of a small run.
  double within = 0.01;

  bool operator==(const Foresight&) const = default;
};

// What a law says of a run.
struct Foreseen {
  double loss = 0;           // final, nats a token
  double low = 0, high = 0;  // its interval
  double interval = 0;       // the probability inside, 0 to 1

  bool operator==(const Foreseen&) const = default;
};

// The run may end at this part of its tokens, where it has this held-out loss. One that is already
// better than the law's interval allows proves the law wrong, and goes on.
bool suffices(const Foresight& rule, const Foreseen& foreseen, double fraction, double loss);

std::string describe(const Foreseen& foreseen, double fraction);

}  // namespace ration::scheduler
