#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstring>

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

// The numbers of a matrix, whose last block is kept.
class Numbers {
 public:
  Numbers(const Layout& layout, const ReadBlock& read)
      : layout_(layout), read_(read), block_(std::min(layout.bytes, kBlockBytes)) {}

  // work(begin, numbers) for runs of the `count` numbers from `first` on; `begin` counts from 0.
  template <class Work>
  Result<void> for_runs(std::uint64_t first, std::uint64_t count, const Work& work) {
    for (std::uint64_t done = 0; done < count;) {
      const std::uint64_t at = (first + done) * layout_.item_bytes;
      Result<std::span<const std::byte>> block = load(at / kBlockBytes);
      if (!block) return std::move(block).error();
      const std::uint64_t within = at % kBlockBytes / layout_.item_bytes;
      run_.resize(
          std::min<std::uint64_t>(count - done, block->size() / layout_.item_bytes - within));
      merge::widen(*layout_.dtype, block->data(), within, run_);
      work(done, std::span<const double>(run_));
      done += run_.size();
    }
    return {};
  }

 private:
  Result<std::span<const std::byte>> load(std::uint64_t index) {
    const std::span<std::byte> bytes(block_.data(), bytes_of_block(layout_.bytes, index));
    if (index != loaded_) {
      if (Result<void> done = read_(index, bytes); !done) return std::move(done).error();
      loaded_ = index;
    }
    return std::span<const std::byte>(bytes);
  }

  const Layout& layout_;
  const ReadBlock& read_;
  std::vector<std::byte> block_;
  std::vector<double> run_;
  std::uint64_t loaded_ = ~std::uint64_t{0};
};

// Rows of matrix - parent.
class Difference {
 public:
  Difference(const Layout& layout, const ReadBlock& matrix, const ReadBlock& parent)
      : columns_(layout.columns), matrix_(layout, matrix), parent_(layout, parent) {}

  // Rows [first, first + count).
  Result<RowMajor> rows(std::uint64_t first, std::uint64_t count) {
    RowMajor difference(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(columns_));
    double* to = difference.data();
    Result<void> done = matrix_.for_runs(
        first * columns_, count * columns_, [&](std::uint64_t begin, std::span<const double> run) {
          std::copy(run.begin(), run.end(), to + begin);
        });
    if (done)
      done = parent_.for_runs(first * columns_,
                              count * columns_,
                              [&](std::uint64_t begin, std::span<const double> run) {
                                for (std::size_t j = 0; j < run.size(); ++j)
                                  to[begin + j] -= run[j];
                              });
    if (!done) return std::move(done).error();
    return difference;
  }

 private:
  std::uint64_t columns_;
  Numbers matrix_;
  Numbers parent_;
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

// Orthonormal columns Q that span the difference up to rounding, and the decomposition of
// (Q^T D)^T, of the tall side, so that it has kColumns columns.
struct Sketch {
  Matrix basis;
  Eigen::JacobiSVD<Matrix> svd;
  int rank = 0;
};

Result<std::optional<Sketch>> sketch_of(Difference& difference, const Layout& layout) {
  using Found = std::optional<Sketch>;
  if (!layout.dtype || layout.rows < kSmallest || layout.columns < kSmallest) return Found();
  Result<bool> low = looks_low(difference, layout);
  if (!low) return std::move(low).error();
  if (!*low) return Found();
  Result<Matrix> range = range_of(difference, layout);
  if (!range) return std::move(range).error();
  if (!range->allFinite()) return Found();
  Sketch sketch{.basis = orthonormal(*range), .svd = {}};
  Result<Matrix> projected = projection(difference, layout, sketch.basis);
  if (!projected) return std::move(projected).error();
  sketch.svd.compute(projected->transpose(), Eigen::ComputeThinU | Eigen::ComputeThinV);
  const std::optional<int> rank = rank_of(sketch.svd.singularValues());
  if (!rank) return Found();
  sketch.rank = *rank;
  return Found(std::move(sketch));
}

Factor factor_of(const Sketch& sketch) {
  const auto& [basis, svd, rank] = sketch;
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
  const ReadBlock matrix = [&](std::uint64_t index, std::span<std::byte> block) {
    std::memcpy(block.data(), plain.data() + index * kBlockBytes, block.size());
    return Result<void>();
  };
  Difference difference(layout, matrix, parent);
  Result<std::optional<Sketch>> sketch = sketch_of(difference, layout);
  if (!sketch) return std::move(sketch).error();
  return *sketch ? std::optional(factor_of(**sketch)) : std::optional<Factor>();
}

Result<std::optional<int>> find_rank(const Layout& layout,
                                     const ReadBlock& matrix,
                                     const ReadBlock& parent) {
  Difference difference(layout, matrix, parent);
  Result<std::optional<Sketch>> sketch = sketch_of(difference, layout);
  if (!sketch) return std::move(sketch).error();
  return *sketch ? std::optional((*sketch)->rank) : std::optional<int>();
}

}  // namespace ration::versions
