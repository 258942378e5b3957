#include "base/background_hash.h"

namespace ration {

BackgroundHash::~BackgroundHash() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void BackgroundHash::update(Block block) {
  const std::lock_guard lock(mutex_);
  waiting_bytes_ += block->size();
  blocks_.push_back(std::move(block));
  changed_.notify_all();
}

void BackgroundHash::wait(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_bytes_ <= bytes; });
}

Sha256 BackgroundHash::result() {
  wait(0);
  return hash_;
}

void BackgroundHash::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ended_ || !blocks_.empty(); });
    if (ended_) return;
    Block block = std::move(blocks_.front());
    blocks_.pop_front();
    lock.unlock();
    hash_.update(*block);
    const std::size_t size = block->size();
    block.reset();
    lock.lock();
    waiting_bytes_ -= size;
    changed_.notify_all();
  }
}

}  // namespace ration
