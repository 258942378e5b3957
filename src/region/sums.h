#pragma once

// Sums over the elements of tensors, several at once and for several sets of tensors, in one order
// whatever the threads. Internal to the room.

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "merge/operator.h"
#include "merge/pieces.h"

namespace ration::region {

// Which sets each tensor of a layout belongs to; none: it is not read.
using Sets = std::vector<std::vector<std::size_t>>;

// [set, size]: work(tensor, first, count, scratch, sums) adds what elements first … first + count -
// 1 give to `size` sums. ErrorKind::input where `scratch` saw a number that is not finite.
template <class Work>
Result<std::vector<std::vector<double>>> sum_by_set(const merge::Layout& layout,
                                                    const Sets& sets,
                                                    std::size_t count_of_sets,
                                                    std::size_t size,
                                                    int threads,
                                                    const Work& work) {
  std::vector<merge::Piece> pieces;
  for (std::size_t t = 0; t < layout.tensors.size(); ++t)
    if (!sets[t].empty())
      for (const merge::Piece& piece : merge::pieces_of(layout.tensors[t])) pieces.push_back(piece);
  std::vector<merge::Scratch> states(static_cast<std::size_t>(merge::thread_count(threads)));
  // Sums of pieces are added batch by batch, in order, so that few are kept.
  const std::size_t batch = std::max<std::size_t>(64, 4 * states.size());
  std::vector<std::vector<double>> parts(std::min(batch, pieces.size()));
  std::vector<char> finite(parts.size());
  std::vector<std::vector<double>> sums(count_of_sets, std::vector<double>(size));
  for (std::size_t begin = 0; begin < pieces.size(); begin += batch) {
    const std::size_t some = std::min(batch, pieces.size() - begin);
    merge::for_pieces(some, std::span(states), [&](std::size_t p, merge::Scratch& scratch) {
      const merge::Piece& piece = pieces[begin + p];
      parts[p].assign(size, 0.0);
      scratch.finite = true;
      finite[p] = merge::whole(*piece.tensor);
      if (finite[p] == 0) return;
      merge::for_chunks(piece, [&](std::uint64_t first, std::size_t count) {
        work(*piece.tensor, first, count, scratch, std::span<double>(parts[p]));
      });
      finite[p] = scratch.finite;
      merge::release(piece);
    });
    for (std::size_t p = 0; p < some; ++p) {
      const merge::Piece& piece = pieces[begin + p];
      if (finite[p] == 0) return merge::refuse_number(*piece.tensor, piece.begin, true);
      const auto tensor = static_cast<std::size_t>(piece.tensor - layout.tensors.data());
      for (const std::size_t set : sets[tensor])
        for (std::size_t i = 0; i < size; ++i) sums[set][i] += parts[p][i];
    }
  }
  return sums;
}

// theta_i - theta_0 in f64, not rounded to f32 as merging rounds it; `base` holds theta_0.
inline void load_change(const merge::Tensor& tensor,
                        std::size_t model,
                        std::uint64_t first,
                        std::span<const double> base,
                        merge::Scratch& scratch,
                        std::span<double> to) {
  merge::load(tensor.models[model], first, scratch, to);
  for (std::size_t j = 0; j < to.size(); ++j) to[j] -= base[j];
}

// Eight sums side by side, which vectorise, in a fixed order.
template <class Term>
double sum_of(std::size_t count, const Term& term) {
  std::array<double, 8> sums{};
  std::size_t j = 0;
  for (; j + sums.size() <= count; j += sums.size())
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += term(j + lane);
  for (std::size_t lane = 0; j + lane < count; ++lane) sums[lane] += term(j + lane);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

inline double dot(std::span<const double> a, std::span<const double> b) {
  return sum_of(a.size(), [x = a.data(), y = b.data()](std::size_t j) { return x[j] * y[j]; });
}

}  // namespace ration::region
