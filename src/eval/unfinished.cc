#include "eval/unfinished.h"

#include <fmt/format.h>

namespace ration::eval {

std::optional<Error> why_unfinished(const scheduler::RunSummary& summary,
                                    const Expected& expected) {
  if (summary.detached || summary.cause == scheduler::StopCause::interrupt)
    return Error{.kind = ErrorKind::interrupted,
                 .what = fmt::format("{} is not {} to its end", summary.sweep.name, expected.what),
                 .hint = "the same command continues"};
  for (const store::RunRow& row : summary.rows) {
    if (row.state == store::RunState::done) continue;
    if (row.state == store::RunState::diverged && expected.may_diverge) continue;
    const std::string run = row.run.substr(0, 12);
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("run {} of {} is {}{}{}",
                                     run,
                                     summary.sweep.name,
                                     store::name(row.state),
                                     row.reason.empty() ? "" : ": ",
                                     row.reason),
                 .hint = fmt::format("`ration explain {}` says more; the same command continues "
                                     "after `ration retry`",
                                     run)};
  }
  return std::nullopt;
}

}  // namespace ration::eval
