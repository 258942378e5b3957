#pragma once

// Independent pieces of work on several threads. `work(i)` writes to slot i alone, so that results
// do not depend on the number of threads; it must not throw.

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace ration {

template <class Work>
void parallel_for(std::size_t count, int threads, const Work& work) {
  const unsigned wanted =
      threads > 0 ? static_cast<unsigned>(threads) : std::thread::hardware_concurrency();
  const std::size_t workers = std::min<std::size_t>(std::max(wanted, 1U), count);
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < workers; ++i) helpers.emplace_back(loop);
  loop();
}

}  // namespace ration
