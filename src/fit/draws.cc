#include "fit/draws.h"

#include <fmt/format.h>

namespace ration::fit {

std::vector<Error> check(const DrawOptions& options, int least) {
  std::vector<Error> problems;
  const auto refuse = [&](std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  if (options.resamples < least || options.resamples > kMostDraws)
    refuse(fmt::format("{} draws", options.resamples),
           fmt::format("from {}{} to {}", least, least == 0 ? " (no intervals)" : "", kMostDraws));
  if (!(options.interval > 0 && options.interval < 1))
    refuse(fmt::format("an interval of {}", options.interval),
           "a probability between 0 and 1, such as 0.9");
  if (options.threads < 0 || options.threads > kMostThreads)
    refuse(fmt::format("{} threads", options.threads),
           fmt::format("from 0 (every core) to {}", kMostThreads));
  return problems;
}

}  // namespace ration::fit
