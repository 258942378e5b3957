#include "train/parallel.h"

#include <ATen/Parallel.h>

namespace ration::train {

std::int64_t parts() { return at::get_num_threads(); }

void in_parts(std::int64_t count, const std::function<void(cpu::Range, std::int64_t)>& body) {
  const std::int64_t threads = parts();
  if (threads == 1) return body({0, count}, 0);
  at::parallel_for(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part)
      body({count * part / threads, count * (part + 1) / threads}, part);
  });
}

}  // namespace ration::train
