#pragma once

// SHA-256 on a thread of its own: hashing takes as long as writing does, so neither waits for the
// other.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/hash.h"

namespace ration {

class BackgroundHash {
 public:
  // Shared because it is written to a file at the same time.
  using Block = std::shared_ptr<const std::string>;

  // Goes on behind what `start` has seen.
  explicit BackgroundHash(const Sha256& start) : hash_(start) {}
  ~BackgroundHash();
  BackgroundHash(const BackgroundHash&) = delete;
  BackgroundHash& operator=(const BackgroundHash&) = delete;

  void update(Block block);
  // Returns when at most so many bytes are still to be hashed.
  void wait(std::size_t bytes);
  // Of all blocks.
  Sha256 result();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Block> blocks_;
  std::size_t waiting_bytes_ = 0;
  bool ended_ = false;
  Sha256 hash_;  // the thread's until waiting_bytes_ is 0
  std::thread thread_{[this] { run(); }};
};

}  // namespace ration
