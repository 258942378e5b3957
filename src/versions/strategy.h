#pragma once

// What becomes of a tensor that both sides of a merge changed.

#include <string>
#include <string_view>

#include "base/result.h"

namespace ration::versions {

struct Strategy {
  enum class Kind {
    fail,     // a conflict
    ours,     // the tensor of this side
    theirs,   // of the other
    base,     // of what both began with
    average,  // alpha ours + (1 - alpha) theirs
    task,     // base + lambda (delta ours + delta theirs)
    ties      // TIES of the two deltas, trimmed over all tensors that both changed
  };
  Kind kind = Kind::fail;
  double alpha = 0.5;  // average: 0 … 1
  double lambda = 1;   // task, ties: finite
  double k = 0.2;      // ties: share of the entries kept, 0 … 1

  bool mixes() const { return kind >= Kind::average; }
  bool operator==(const Strategy&) const = default;
};

// "fail", "ours", "theirs", "base", "average", "average:ALPHA", "task", "task:LAMBDA", "ties",
// "ties:K" or "ties:K,LAMBDA". ErrorKind::usage with all of them for anything else.
Result<Strategy> parse_strategy(std::string_view text);

// Text that parse_strategy() reads back.
std::string to_text(const Strategy& strategy);

}  // namespace ration::versions
