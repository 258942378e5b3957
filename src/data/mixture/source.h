#pragma once

// One auxiliary source of a mixture: its own unique windows, in its own order, up to a cap.

#include <cstdint>

#include "base/json.h"
#include "data/schedule.h"

namespace ration::data {

struct SourceOptions {
  std::uint32_t windows = 0;  // unique ones, at least 1
  double max_epochs = 0;      // no window is taken beyond so many passes; 0: no cap
  std::uint64_t seed = 0;     // of the order: source_seed()
};

class Source {
 public:
  explicit Source(const SourceOptions& options);

  std::uint32_t next() {
    ++used_;
    return schedule_.next();
  }

  std::int64_t windows() const { return windows_; }
  std::int64_t used() const { return used_; }  // windows taken since the run began
  std::int64_t left() const { return cap_ - used_; }
  double epochs() const { return static_cast<double>(used_) / static_cast<double>(windows_); }
  double repeats() const { return epochs() > 1 ? epochs() - 1 : 0; }

  // As of Policy.
  Json state() const;
  void load(const Json& state);

 private:
  std::int64_t windows_, cap_;
  std::uint64_t seed_;
  WindowSchedule schedule_;
  std::int64_t used_ = 0;
};

// Windows that a source can give under its cap; the largest number where it has none.
std::int64_t capacity(std::int64_t windows, double max_epochs);

// Seed of the order of a source's windows: of the run's seed and the data, wherever the source
// stands in a list, and another than that of the main data.
std::uint64_t source_seed(std::uint64_t run_seed, std::string_view data_digest);

}  // namespace ration::data
