#pragma once

// Long tensors cut into pieces of fixed size, so that sums over pieces do not depend on the number
// of threads, and each piece into chunks that fit a cache. For this room and `region`.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "base/parallel.h"
#include "merge/layout.h"

namespace ration::merge {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 19;  // elements
constexpr std::size_t kChunk = 2048;                      // elements; 16 KiB as f64

// Elements begin … end - 1 of a tensor.
struct Piece {
  const Tensor* tensor = nullptr;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

inline std::vector<Piece> pieces_of(const Tensor& tensor) {
  std::vector<Piece> pieces;
  for (std::uint64_t begin = 0; begin < tensor.count; begin += kPiece)
    pieces.push_back({&tensor, begin, std::min(begin + kPiece, tensor.count)});
  return pieces;
}

// Of all merged tensors, in their order.
inline std::vector<Piece> pieces_of(const Layout& layout) {
  std::vector<Piece> pieces;
  for (const Tensor& tensor : layout.tensors) {
    if (!tensor.merged) continue;
    const std::vector<Piece> some = pieces_of(tensor);
    pieces.insert(pieces.end(), some.begin(), some.end());
  }
  return pieces;
}

// Arrays of a chunk that a thread uses again and again.
class Scratch {
 public:
  // Array `number`, of `count` elements. Earlier arrays stay where they are.
  std::span<double> array(std::size_t number, std::size_t count) {
    while (arrays_.size() <= number) arrays_.emplace_back(kChunk);
    return {arrays_[number].data(), count};
  }
  // One more array, for what a method makes of the others.
  std::span<double> out(std::size_t count) {
    if (out_.empty()) out_.resize(kChunk);
    return {out_.data(), count};
  }
  std::span<std::uint8_t> flags(std::size_t count) {
    if (flags_.size() < kChunk) flags_.resize(kChunk);
    return {flags_.data(), count};
  }

  bool finite = true;  // set to false by who reads a number that is not

 private:
  std::vector<std::vector<double>> arrays_;
  std::vector<double> out_;
  std::vector<std::uint8_t> flags_;
};

inline int thread_count(int threads) {
  return threads > 0 ? threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

// work(piece number, worker's own state) for all pieces; `states` has one entry a thread.
template <class State, class Work>
void for_pieces(std::size_t count, std::span<State> states, const Work& work) {
  std::atomic<std::size_t> next{0};
  const std::size_t workers = std::min(states.size(), count);
  parallel_for(workers, static_cast<int>(workers), [&](std::size_t worker) {
    for (std::size_t i = next++; i < count; i = next++) work(i, states[worker]);
  });
}

// work(first element, count) for each chunk of a piece.
template <class Work>
void for_chunks(const Piece& piece, const Work& work) {
  for (std::uint64_t first = piece.begin; first < piece.end; first += kChunk)
    work(first, static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, piece.end - first)));
}

// Whether the files of a tensor's inputs hold all their bytes: to be asked before each piece, for
// reading what a file has lost ends the program. Where not, refuse_number says so.
inline bool whole(const Tensor& tensor) {
  const auto one = [](const Source& source) {
    return source.bytes == nullptr || source.checkpoint->whole(*source.info);
  };
  return one(tensor.base) && std::all_of(tensor.models.begin(), tensor.models.end(), one) &&
         std::all_of(tensor.statistics.begin(), tensor.statistics.end(), one);
}

// Lets the memory of a piece's inputs go, once it was read.
inline void release(const Piece& piece) {
  const auto one = [&](const Source& source) {
    if (source.bytes == nullptr) return;
    const std::uint64_t bytes = checkpoint::item_bytes(source.info->dtype);
    source.checkpoint->release(*source.info, piece.begin * bytes, piece.end * bytes);
  };
  one(piece.tensor->base);
  for (const Source& source : piece.tensor->models) one(source);
  for (const Source& source : piece.tensor->statistics)
    if (source.info->shape == piece.tensor->out.shape) one(source);  // not Gram matrices
}

}  // namespace ration::merge
