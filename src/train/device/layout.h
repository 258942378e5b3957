#pragma once

// Where the tensors of a run stand in its flat buffer on a device. Like Parameters, except that
// gate and up lie behind each other as one matrix, so that one product makes both, and that the
// rows of the vocabulary's matrices are filled up to a multiple that suits matrix units.

#include <string>
#include <string_view>
#include <vector>

#include "run/spec.h"
#include "train/parameters.h"

namespace ration::train::device {

struct Slot {
  std::string name;         // "h0.attn.qkv.w", …
  std::int64_t offset = 0;  // elements
  std::int64_t rows = 1;    // of a matrix, without padding; 1 for gains and biases
  std::int64_t columns = 0;
};

class Layout {
 public:
  // A resolved spec. `vocab_multiple`: 64 suits bf16 products on a GPU, 1 leaves the rows as they
  // are.
  Layout(const run::RunSpec& spec, std::int64_t vocab_multiple);

  const std::vector<Slot>& slots() const { return slots_; }
  // Null where the model has no such tensor.
  const Slot* find(std::string_view name) const;

  std::int64_t size() const { return size_; }        // of one run, a multiple of 16
  std::int64_t decayed() const { return decayed_; }  // matrices come first: [0, decayed())
  // What training changes: [tuned().matrices, decayed()) and [tuned().vectors, size()).
  const TunedFrom& tuned() const { return tuned_; }
  // The matrices inside layers lie together: [hidden_begin(), hidden_end()).
  std::int64_t hidden_begin() const { return hidden_begin_; }
  std::int64_t hidden_end() const { return hidden_end_; }
  std::int64_t vocab_rows() const { return vocab_rows_; }  // of embedding and head, with padding

 private:
  std::vector<Slot> slots_;
  std::int64_t size_ = 0, decayed_ = 0, hidden_begin_ = 0, hidden_end_ = 0, vocab_rows_ = 0;
  TunedFrom tuned_;
};

}  // namespace ration::train::device
