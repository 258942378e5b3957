#include "study/region/lines.h"

#include <algorithm>
#include <cmath>

#include "region/line.h"

namespace ration::study {
namespace {

std::size_t place_of(const std::vector<double>& alphas, double alpha) {
  return static_cast<std::size_t>(std::min_element(alphas.begin(),
                                                   alphas.end(),
                                                   [&](double a, double b) {
                                                     return std::abs(a - alpha) <
                                                            std::abs(b - alpha);
                                                   }) -
                                  alphas.begin());
}

}  // namespace

std::vector<LineResult> line_results(std::span<const LinePair> lines, const RegionLosses& losses) {
  const std::vector<double> alphas = region::line_alphas();
  const std::size_t begin = place_of(alphas, 0), end = place_of(alphas, 1);
  std::vector<LineResult> results;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    LineResult result{.kind = lines[i].kind, .losses = {}};
    for (std::size_t k = 0; k < alphas.size(); ++k) {
      double sum = 0;
      for (const std::string& corpus : lines[i].corpora) sum += losses.at(line_point(i, k), corpus);
      result.losses.push_back(sum / static_cast<double>(lines[i].corpora.size()));
    }
    const std::vector<double>& loss = result.losses;
    result.barrier = region::profile(alphas, loss).barrier;
    const auto at = [&](std::size_t k) { return loss.begin() + static_cast<std::ptrdiff_t>(k); };
    result.gain = std::min(loss[begin], loss[end]) - *std::min_element(at(begin), at(end + 1));
    result.middle = loss[place_of(alphas, 0.5)] - (loss[begin] + loss[end]) / 2;
    result.beyond = (loss[place_of(alphas, -1)] + loss[place_of(alphas, 2)]) / 2 -
                    (loss[begin] + loss[end]) / 2;
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<Finding> line_findings(const RegionTable& table, std::span<const LineResult> lines) {
  std::vector<std::string> kinds;
  for (const LineResult& line : lines)
    if (std::find(kinds.begin(), kinds.end(), line.kind) == kinds.end()) kinds.push_back(line.kind);
  std::vector<Finding> findings;
  for (const std::string& kind : kinds) {
    const auto estimate = [&](double LineResult::*member) {
      std::vector<std::vector<double>> values;  // a pair is a group of its own
      for (const LineResult& line : lines)
        if (line.kind == kind) values.push_back({line.*member});
      return nested_bootstrap(
          values, {.draws = table.draws, .seed = static_cast<std::uint64_t>(table.seed)});
    };
    const std::int64_t n = std::count_if(
        lines.begin(), lines.end(), [&](const LineResult& line) { return line.kind == kind; });
    const auto say = [&](const char* statistic, const Estimate& found) {
      findings.push_back({"lines", kind, statistic, found, n});
    };
    say("barrier (nats)", never_below_0(estimate(&LineResult::barrier)));
    say("at 1/2 - at the ends (nats)", estimate(&LineResult::middle));
    say("better end - least between (nats)", never_below_0(estimate(&LineResult::gain)));
    say("at -1 and 2 - at the ends (nats)", estimate(&LineResult::beyond));
  }
  return findings;
}

}  // namespace ration::study
