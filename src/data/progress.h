#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace ration::data {

// How far work is; `total` in bytes like `done`, 0 when unknown.
struct Progress {
  std::string_view phase;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace ration::data
