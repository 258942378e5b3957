#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "merge/numbers.h"
#include "versions/factor.h"

namespace ration::versions {
namespace {

using Matrix = Eigen::MatrixXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kColumns = 24;      // of the sketch
constexpr int kLargestRank = 20;  // four columns of the sketch are left to see the noise
constexpr double kGap = 4;        // between the last singular value of a factor and the next one
constexpr std::uint64_t kSmallest = 64;  // rows and columns, below which a factor saves little

// Singular values before the widest gap; nothing where there is no wide one within the largest
// rank. What follows a gap is the rounding of the numbers, which depends on their size and dtype.
std::optional<int> rank_of(const Eigen::VectorXd& values) {
  if (values.size() == 0 || !(values(0) > 0) || !std::isfinite(values(0))) return std::nullopt;
  std::optional<int> rank;
  double widest = kGap;
  for (int r = 1; r <= kLargestRank && r < values.size(); ++r) {
    const double gap = values(r - 1) / std::max(values(r), 1e-15 * values(0));
    if (gap <= widest) continue;
    widest = gap;
    rank = r;
  }
  return rank;
}

// Rows [first, first + count) of plain - parent.
class Difference {
 public:
  Difference(std::span<const std::byte> plain, const Layout& layout, const ReadBlock& parent)
      : plain_(plain), layout_(layout), parent_(parent), block_(kBlockBytes) {}

  Result<RowMajor> rows(std::uint64_t first, std::uint64_t count) {
    RowMajor difference(static_cast<Eigen::Index>(count),
                        static_cast<Eigen::Index>(layout_.columns));
    const std::span<double> numbers(difference.data(), count * layout_.columns);
    const std::uint64_t begin = first * layout_.columns;
    merge::widen(*layout_.dtype, plain_.data(), begin, numbers);
    std::vector<double> old;
    for (std::uint64_t done = 0; done < numbers.size();) {
      const std::uint64_t at = (begin + done) * layout_.item_bytes;
      Result<std::span<const std::byte>> block = load(at / kBlockBytes);
      if (!block) return std::move(block).error();
      const std::uint64_t within = at % kBlockBytes / layout_.item_bytes;
      const std::uint64_t some = std::min<std::uint64_t>(
          numbers.size() - done, block->size() / layout_.item_bytes - within);
      old.resize(some);
      merge::widen(*layout_.dtype, block->data(), within, old);
      for (std::uint64_t j = 0; j < some; ++j) numbers[done + j] -= old[j];
      done += some;
    }
    return difference;
  }

 private:
  Result<std::span<const std::byte>> load(std::uint64_t index) {
    const std::span<std::byte> bytes(block_.data(), bytes_of_block(layout_.bytes, index));
    if (index != loaded_) {
      if (Result<void> done = parent_(index, bytes); !done) return std::move(done).error();
      loaded_ = index;
    }
    return std::span<const std::byte>(bytes);
  }

  std::span<const std::byte> plain_;
  const Layout& layout_;
  const ReadBlock& parent_;
  std::vector<std::byte> block_;
  std::uint64_t loaded_ = ~std::uint64_t{0};
};

// About a block's worth.
std::uint64_t rows_at_once(const Layout& layout) {
  return std::clamp<std::uint64_t>(
      kBlockBytes / (layout.columns * layout.item_bytes), 1, layout.rows);
}

// Whether a corner of the matrix, rows and columns apart from each other, has a low rank.
Result<bool> looks_low(Difference& difference, const Layout& layout) {
  constexpr std::uint64_t kRows = 48;
  constexpr std::uint64_t kSide = 96;
  const std::uint64_t row_step = layout.rows / kRows;
  const std::uint64_t columns = std::min(layout.columns, kSide);
  const std::uint64_t column_step = layout.columns / columns;
  Matrix sample(static_cast<Eigen::Index>(kRows), static_cast<Eigen::Index>(columns));
  for (std::uint64_t i = 0; i < kRows; ++i) {
    Result<RowMajor> row = difference.rows(i * row_step, 1);
    if (!row) return std::move(row).error();
    for (std::uint64_t j = 0; j < columns; ++j)
      sample(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) =
          (*row)(0, static_cast<Eigen::Index>(j * column_step));
  }
  if (!sample.allFinite()) return false;
  return rank_of(Eigen::JacobiSVD<Matrix>(sample).singularValues()).has_value();
}

// Columns of normal numbers, the same for every matrix of this width.
Matrix test_matrix(std::uint64_t columns) {
  Stream stream(0, StreamId::directions);
  Matrix omega(static_cast<Eigen::Index>(columns), kColumns);
  for (Eigen::Index i = 0; i < omega.size(); ++i) omega.data()[i] = stream.normal();
  return omega;
}

Matrix orthonormal(const Matrix& matrix) {
  const Eigen::HouseholderQR<Matrix> qr(matrix);
  return qr.householderQ() * Matrix::Identity(matrix.rows(), matrix.cols());
}

// D omega, [rows, kColumns].
Result<Matrix> range_of(Difference& difference, const Layout& layout) {
  const Matrix omega = test_matrix(layout.columns);
  Matrix range(static_cast<Eigen::Index>(layout.rows), kColumns);
  const std::uint64_t step = rows_at_once(layout);
  for (std::uint64_t row = 0; row < layout.rows; row += step) {
    Result<RowMajor> part = difference.rows(row, std::min(step, layout.rows - row));
    if (!part) return std::move(part).error();
    range.middleRows(static_cast<Eigen::Index>(row), part->rows()).noalias() = *part * omega;
  }
  return range;
}

// Q^T D, [kColumns, columns].
Result<Matrix> projection(Difference& difference, const Layout& layout, const Matrix& basis) {
  Matrix sum = Matrix::Zero(basis.cols(), static_cast<Eigen::Index>(layout.columns));
  const std::uint64_t step = rows_at_once(layout);
  for (std::uint64_t row = 0; row < layout.rows; row += step) {
    Result<RowMajor> part = difference.rows(row, std::min(step, layout.rows - row));
    if (!part) return std::move(part).error();
    sum.noalias() +=
        basis.middleRows(static_cast<Eigen::Index>(row), part->rows()).transpose() * *part;
  }
  return sum;
}

Factor factor_of(const Matrix& basis, const Eigen::JacobiSVD<Matrix>& svd, int rank) {
  const RowMajor u =
      basis * svd.matrixV().leftCols(rank) * svd.singularValues().head(rank).asDiagonal();
  const RowMajor v = svd.matrixU().leftCols(rank).transpose();
  Factor factor{.rank = static_cast<std::uint32_t>(rank)};
  for (Eigen::Index i = 0; i < u.size(); ++i) factor.u.push_back(static_cast<float>(u.data()[i]));
  for (Eigen::Index i = 0; i < v.size(); ++i) factor.v.push_back(static_cast<float>(v.data()[i]));
  return factor;
}

}  // namespace

Result<std::optional<Factor>> find_factor(std::span<const std::byte> plain,
                                          const Layout& layout,
                                          const ReadBlock& parent) {
  using Found = std::optional<Factor>;
  if (!layout.dtype || layout.rows < kSmallest || layout.columns < kSmallest) return Found();
  Difference difference(plain, layout, parent);
  Result<bool> low = looks_low(difference, layout);
  if (!low) return std::move(low).error();
  if (!*low) return Found();
  Result<Matrix> range = range_of(difference, layout);
  if (!range) return std::move(range).error();
  if (!range->allFinite()) return Found();
  const Matrix basis = orthonormal(*range);
  Result<Matrix> projected = projection(difference, layout, basis);
  if (!projected) return std::move(projected).error();
  // Of the tall side, so that the decomposition is of kColumns columns.
  const Eigen::JacobiSVD<Matrix> svd(projected->transpose(),
                                     Eigen::ComputeThinU | Eigen::ComputeThinV);
  const std::optional<int> rank = rank_of(svd.singularValues());
  return rank ? Found(factor_of(basis, svd, *rank)) : Found();
}

}  // namespace ration::versions
