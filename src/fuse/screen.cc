#include "fuse/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ration::fuse {
namespace {

constexpr std::size_t kFewest = 5;        // norms that a robust spread needs
constexpr double kNormalSpread = 0.6745;  // MAD of a standard normal

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<std::string> refuse_norm(const Config& config,
                                       const Norms& norms,
                                       std::size_t which) {
  const double norm = norms.round[which];
  if (norm == 0) return "no change: it equals the base";
  std::vector<double> logs;
  for (const std::vector<double>* const list : {&norms.round, &norms.history})
    for (const double each : *list)
      if (each > 0) logs.push_back(std::log(each));
  if (logs.size() < kFewest) {
    if (norm <= config.norm_max * norms.base) return std::nullopt;
    return fmt::format("|tau| is {:.3g}, more than norm_max = {:g} times the base's {:.3g}",
                       norm,
                       config.norm_max,
                       norms.base);
  }
  const double middle = median(logs);
  std::vector<double> distances;
  for (const double each : logs) distances.push_back(std::fabs(each - middle));
  const double spread = median(distances);
  const double distance = std::log(norm) - middle;
  const double factor = std::exp(std::fabs(distance));
  const char* const side = distance > 0 ? "above" : "below";
  if (spread == 0) {
    if (factor <= config.norm_ratio) return std::nullopt;
    return fmt::format("|tau| is {:.3g}, a factor {:.3g} {} the median; norm_ratio = {:g}",
                       norm,
                       factor,
                       side,
                       config.norm_ratio);
  }
  const double z = kNormalSpread * distance / spread;
  if (std::fabs(z) <= config.norm_z || factor <= config.norm_near) return std::nullopt;
  return fmt::format("|tau| is {:.3g}, a factor {:.3g} {} the median, z = {:.1f}; norm_z = {:g}",
                     norm,
                     factor,
                     side,
                     z,
                     config.norm_z);
}

std::optional<std::string> refuse_direction(const Config& config,
                                            double cosine,
                                            double norm,
                                            std::span<const double> norms) {
  if (!(cosine < config.cosine_min) || !(norm > median({norms.begin(), norms.end()})))
    return std::nullopt;
  return fmt::format(
      "mean cosine {:.2f} to the others, below cosine_min = {:g}, and a norm above the median",
      cosine,
      config.cosine_min);
}

Change change(std::span<const double> before, std::span<const double> after) {
  const std::size_t n = std::min(before.size(), after.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) sum += after[i] - before[i];
  const double mean = sum / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double apart = after[i] - before[i] - mean;
    squares += apart * apart;
  }
  if (!std::isfinite(mean)) return {.mean = std::numeric_limits<double>::infinity(), .error = 0};
  const auto count = static_cast<double>(n);
  return {.mean = mean, .error = n < 2 ? 0 : std::sqrt(squares / (count - 1) / count)};
}

std::optional<std::string> refuse_probe(const Config& config,
                                        std::span<const Change> changes,
                                        std::size_t which) {
  // Fine-tuning on other text costs all of them something on the probe: what counts is the excess.
  constexpr std::size_t kFewestChanges = 3;
  std::vector<double> means;
  for (const Change& each : changes) means.push_back(each.mean);
  const double usual = means.size() < kFewestChanges ? 0 : std::max(0.0, median(means));
  const Change& own = changes[which];
  const double allowed = (std::isfinite(usual) ? usual : 0) + config.probe_slack;
  if (own.mean <= allowed || own.mean <= config.probe_z * own.error) return std::nullopt;
  return fmt::format(
      "the probe's loss grows by {:.3f} nats (standard error {:.3f}), allowed {:.3f}",
      own.mean,
      own.error,
      allowed);
}

bool worse(const Config& config, const Change& change) {
  return change.mean > config.probe_slack && change.mean > config.probe_z * change.error;
}

}  // namespace ration::fuse
