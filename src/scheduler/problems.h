#pragma once

// Problems of many points, told once each.

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace ration::scheduler {

class Problems {
 public:
  // Problems at one place that differ in their numbers alone are one; its first text is kept.
  void add(Error error);
  bool empty() const { return found_.empty(); }

  // All of them in the order of their places, each saying in how many of `points` it occurred.
  // Needs at least one.
  Error take(const std::string& summary, std::int64_t points) &&;

 private:
  struct Found {
    Error error;
    std::int64_t count = 0;
  };
  std::map<std::string, Found> found_;
};

}  // namespace ration::scheduler
