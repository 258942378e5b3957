#include "region/assignment.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace ration::region {
namespace {

constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 4;

// Rows join one by one, each by a shortest path of reduced costs. Row and column 0 stand for none.
class Matching {
 public:
  Matching(std::span<const std::int64_t> counts, std::size_t rows, std::size_t columns)
      : counts_(counts), rows_(rows), columns_(columns), n_(std::max(rows, columns)) {
    of_row_.resize(n_ + 1);
    of_column_.resize(n_ + 1);
    row_of_.resize(n_ + 1);
  }

  std::int64_t best() {
    for (std::size_t row = 1; row <= n_; ++row) add(row);
    std::int64_t sum = 0;
    for (std::size_t column = 1; column <= n_; ++column) sum -= cost(row_of_[column], column);
    return sum;
  }

 private:
  std::int64_t cost(std::size_t row, std::size_t column) const {  // 0 beyond the matrix
    return row > rows_ || column > columns_ ? 0 : -counts_[(row - 1) * columns_ + column - 1];
  }

  void add(std::size_t row) {
    std::vector<std::int64_t> distance(n_ + 1, kFar);
    std::vector<std::size_t> before(n_ + 1);
    std::vector<char> seen(n_ + 1);
    std::size_t column = 0;
    row_of_[0] = row;
    while (row_of_[column] != 0) {
      seen[column] = 1;
      const std::size_t here = row_of_[column];
      std::size_t next = 0;
      std::int64_t least = kFar;
      for (std::size_t c = 1; c <= n_; ++c) {
        if (seen[c] != 0) continue;
        const std::int64_t reduced = cost(here, c) - of_row_[here] - of_column_[c];
        if (reduced < distance[c]) distance[c] = reduced, before[c] = column;
        if (distance[c] < least) least = distance[c], next = c;
      }
      for (std::size_t c = 0; c <= n_; ++c)
        if (seen[c] != 0)
          of_row_[row_of_[c]] += least, of_column_[c] -= least;
        else
          distance[c] -= least;
      column = next;
    }
    for (; column != 0; column = before[column]) row_of_[column] = row_of_[before[column]];
  }

  std::span<const std::int64_t> counts_;
  std::size_t rows_, columns_, n_;
  std::vector<std::int64_t> of_row_, of_column_;  // potentials
  std::vector<std::size_t> row_of_;               // of each column
};

}  // namespace

std::int64_t best_assignment(std::span<const std::int64_t> counts,
                             std::size_t rows,
                             std::size_t columns) {
  return Matching(counts, rows, columns).best();
}

}  // namespace ration::region
