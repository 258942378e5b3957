#include "versions/prediction.h"

#include <algorithm>

namespace ration::versions {

Result<void> Prediction::read_parent(std::uint64_t index, std::span<std::byte> block) {
  if (index < kept_.size() && !kept_[index].empty()) {
    std::copy(kept_[index].begin(), kept_[index].end(), block.begin());
    return {};
  }
  Result<void> done = reader_.block(index, block);
  if (done && index < kept_.size()) kept_[index].assign(block.begin(), block.end());
  return done;
}

Result<void> Prediction::read(std::uint64_t index, std::span<std::byte> block) {
  Result<void> done = read_parent(index, block);
  if (done && factor_)
    add_factor(*factor_, layout_, index * kBlockBytes / layout_.item_bytes, block);
  return done;
}

}  // namespace ration::versions
