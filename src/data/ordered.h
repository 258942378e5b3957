#pragma once

// Work on all cores whose results are taken in order: what comes out does not depend on the number
// of threads, and what is under way stays within a number of bytes.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ration::data {

// Inputs a thread that may be in work or wait for consume(): what is ready early would push what is
// needed next out of the caches. Once there are so many, production rests until half of them are
// consumed, since putting threads to sleep and waking them costs as much as a small input.
inline constexpr std::uint64_t kAhead = 4;

struct Workforce {
  unsigned threads = 1;                           // 1 …
  std::uint64_t memory = std::uint64_t{1} << 30;  // bytes of all that is under way at a time
};

// produce() gives the next input and what it costs in bytes, or nothing at the end; one thread at a
// time calls it. work(input) runs on any thread. consume(output) runs on the calling thread, in the
// order of production. An input that costs more than the memory is worked on alone. Returns the
// first error in that order; the work behind it is given up.
template <class In, class Out, class Produce, class Work, class Consume>
Result<void> in_order(const Workforce& workforce, Produce produce, Work work, Consume consume) {
  std::mutex producing;
  std::mutex mutex;
  std::condition_variable room;  // for another input
  std::condition_variable output_came;
  std::map<std::uint64_t, std::pair<std::optional<Result<Out>>, std::uint64_t>> ready;
  std::uint64_t produced = 0;
  std::uint64_t consumed = 0;
  std::uint64_t under_way = 0;
  bool full = false;
  bool stop = false;
  const std::uint64_t most = kAhead * workforce.threads;
  std::uint64_t wanted = 0;  // by consume()
  unsigned working = workforce.threads;

  // One input from production to its result; false when there is no more.
  const auto step = [&] {
    std::optional<In> input;
    std::uint64_t number = 0;
    std::uint64_t cost = 0;
    std::optional<Result<Out>> output;
    {
      const std::lock_guard turn(producing);
      {
        std::unique_lock lock(mutex);
        room.wait(lock, [&] {
          const std::uint64_t ahead = produced - consumed;
          full = ahead >= (full ? most / 2 : most);
          return stop || under_way == 0 || (under_way < workforce.memory && !full);
        });
        if (stop) return false;
      }
      Result<std::optional<std::pair<In, std::uint64_t>>> next = produce();
      const std::lock_guard lock(mutex);
      if (next && !next->has_value()) {
        stop = true;
        return false;
      }
      number = produced++;
      if (next) {
        input = std::move((*next)->first);
        cost = (*next)->second;
        under_way += cost;
      } else {
        output = std::move(next).error();
        stop = true;
      }
    }
    if (input) output = work(*std::move(input));
    const std::lock_guard lock(mutex);
    if (!*output) stop = true;
    ready.emplace(number, std::pair(std::move(output), cost));
    if (number == wanted || stop) output_came.notify_one();
    return true;
  };
  const auto run = [&] {
    bool more = true;
    while (more) {
      try {
        more = step();
      } catch (const std::bad_alloc&) {
        const std::lock_guard lock(mutex);
        ready.emplace(produced++,
                      std::pair(std::optional<Result<Out>>(
                                    Error{.kind = ErrorKind::resource,
                                          .what = "the memory is full",
                                          .hint = "give a smaller --memory, or fewer --threads"}),
                                0));
        stop = true;
        more = false;
      }
    }
    const std::lock_guard lock(mutex);
    --working;
    room.notify_all();
    output_came.notify_one();
  };

  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < workforce.threads; ++i) threads.emplace_back(run);
  const auto give_up = [&] {
    {
      const std::lock_guard lock(mutex);
      stop = true;
      room.notify_all();
    }
    threads.clear();
  };
  while (true) {
    std::optional<Result<Out>> output;
    std::uint64_t cost = 0;
    {
      std::unique_lock lock(mutex);
      output_came.wait(lock, [&] { return working == 0 || ready.contains(wanted); });
      // What is missing after the end was lost to an error that stands behind it.
      const auto found = ready.find(wanted);
      if (found == ready.end() && ready.empty()) break;
      const auto at = found == ready.end() ? ready.begin() : found;
      wanted = at->first + 1;
      output = std::move(at->second.first);
      cost = at->second.second;
      ready.erase(at);
    }
    Result<void> taken = *output ? consume(*std::move(*output)) : Result<void>(output->error());
    if (!taken) {
      give_up();
      return taken;
    }
    const std::lock_guard lock(mutex);
    ++consumed;
    under_way -= cost;
    room.notify_one();
  }
  threads.clear();
  return {};
}

}  // namespace ration::data
