#pragma once

// Problems of many points, told once each.

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace ration::scheduler {

class Problems {
 public:
  // A problem that comes several times from here on to the next call counts once.
  void begin_point() { ++point_; }

  // Problems at one place that differ in their numbers alone are one; its first text is kept.
  void add(Error error);
  bool empty() const { return found_.empty(); }

  // All of them in the order of their places, each saying in how many of `points` it occurred.
  // Needs at least one.
  Error take(const std::string& summary, std::int64_t points) &&;

 private:
  struct Found {
    Error error;
    std::int64_t points = 0;
    std::int64_t last_point = -1;
  };
  std::int64_t point_ = 0;
  std::map<std::string, Found> found_;
};

}  // namespace ration::scheduler
