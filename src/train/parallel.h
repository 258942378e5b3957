#pragma once

#include <cstdint>
#include <functional>

#include "train/cpu/lanes.h"

namespace ration::train {

// Cuts [0, count) into one contiguous range a thread of LibTorch's pool and runs body(range, part),
// part = 0, 1, …; the cuts depend on count and thread count alone. With one thread it is a call.
void in_parts(std::int64_t count, const std::function<void(cpu::Range, std::int64_t part)>& body);

// The number of parts: LibTorch's thread count.
std::int64_t parts();

}  // namespace ration::train
