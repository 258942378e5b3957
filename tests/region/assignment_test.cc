#include "region/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace ration::region {
namespace {

// The best of all maps of the shorter side into the longer.
std::int64_t by_trying(const std::vector<std::int64_t>& counts,
                       std::size_t rows,
                       std::size_t columns) {
  std::vector<std::size_t> order(std::max(rows, columns));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::int64_t best = 0;
  do {
    std::int64_t sum = 0;
    for (std::size_t row = 0; row < rows; ++row)
      if (order[row] < columns) sum += counts[row * columns + order[row]];
    best = std::max(best, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(Assignment, EqualsTheBestOfAllMaps) {
  Stream stream(1, StreamId::init);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t rows = 1 + stream.below(6), columns = 1 + stream.below(6);
    std::vector<std::int64_t> counts(rows * columns);
    for (std::int64_t& count : counts) count = static_cast<std::int64_t>(stream.below(9));

    EXPECT_EQ(best_assignment(counts, rows, columns), by_trying(counts, rows, columns))
        << rows << " x " << columns;
  }
}

TEST(Assignment, SharesNoColumn) {
  EXPECT_EQ(best_assignment(std::vector<std::int64_t>{5, 4, 5, 0}, 2, 2), 9);
}

}  // namespace
}  // namespace ration::region
