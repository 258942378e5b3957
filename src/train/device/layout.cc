#include "train/device/layout.h"

#include <algorithm>

namespace ration::train::device {
namespace {

constexpr std::int64_t kAlignment = 16;  // elements: vectors of any type stay aligned

std::int64_t rounded(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace

Layout::Layout(const run::RunSpec& spec, std::int64_t vocab_multiple)
    : vocab_rows_(rounded(spec.vocab, vocab_multiple)) {
  const std::vector<TensorShape> shapes = tensor_shapes(spec);
  for (const bool matrices : {true, false}) {
    std::int64_t frozen_end = size_;
    for (const TensorShape& tensor : shapes) {
      if ((tensor.shape.size() >= 2) != matrices) continue;
      Slot slot{.name = tensor.name,
                .offset = size_,
                .rows = matrices ? tensor.shape[0] : 1,
                .columns = tensor.shape.back()};
      const bool of_vocab = slot.name == "wte" || slot.name == "head.w";
      const std::int64_t elements = (of_vocab ? vocab_rows_ : slot.rows) * slot.columns;
      const bool up_follows = slot.name.ends_with("mlp.gate.w");
      size_ += up_follows ? elements : rounded(elements, kAlignment);
      if (tensor.hidden) {
        if (hidden_end_ == 0) hidden_begin_ = slot.offset;
        hidden_end_ = size_;
      }
      if (!tensor.tuned) frozen_end = size_;
      slots_.push_back(std::move(slot));
    }
    size_ = rounded(size_, kAlignment);
    if (matrices) decayed_ = size_;
    (matrices ? tuned_.matrices : tuned_.vectors) = rounded(frozen_end, kAlignment);
  }
}

const Slot* Layout::find(std::string_view name) const {
  const auto found = std::find_if(
      slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.name == name; });
  return found == slots_.end() ? nullptr : &*found;
}

}  // namespace ration::train::device
