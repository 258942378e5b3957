#pragma once

// Streams that are strings.

#include <algorithm>
#include <memory>

#include "git/pkt_line.h"

namespace ration::git::test {

// Gives the bytes, at most `piece` at once.
inline ReadBytes reading(std::string bytes, std::size_t piece) {
  auto left = std::make_shared<std::string>(std::move(bytes));
  auto at = std::make_shared<std::size_t>(0);
  return [left, at, piece](std::span<char> to) -> Result<std::size_t> {
    const std::size_t count = std::min({piece, to.size(), left->size() - *at});
    std::copy_n(left->data() + *at, count, to.data());
    *at += count;
    return count;
  };
}

inline WriteBytes writing(std::string& to) {
  return [&to](std::string_view bytes) -> Result<void> {
    to += bytes;
    return {};
  };
}

}  // namespace ration::git::test
