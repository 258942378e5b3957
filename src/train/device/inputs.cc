#include "train/device/inputs.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ration::train::device {
namespace {

template <class T>
T* at_offset(void* base, std::int64_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(base) + offset);
}

// One stream a layer and site; only layer 0 has an embedding.
std::int64_t site_index(std::int64_t layer, DropoutSite site) {
  return layer * 4 + static_cast<std::int64_t>(site);
}

// Rows sorted by token, equal tokens by row: a counting sort, linear in rows and vocabulary.
void sort_rows(const std::int64_t* tokens,
               std::int64_t rows,
               std::int64_t vocab,
               std::int32_t* order) {
  std::vector<std::int32_t> next(static_cast<std::size_t>(vocab) + 1);
  for (std::int64_t r = 0; r < rows; ++r) ++next[static_cast<std::size_t>(tokens[r]) + 1];
  for (std::size_t v = 1; v < next.size(); ++v) next[v] += next[v - 1];
  for (std::int64_t r = 0; r < rows; ++r)
    order[next[static_cast<std::size_t>(tokens[r])]++] = static_cast<std::int32_t>(r);
}

}  // namespace

Inputs::Inputs(std::vector<run::RunSpec> specs, std::int64_t sequences, std::int64_t micro_batch)
    : specs_(std::move(specs)), sequences_(sequences), positions_(specs_.at(0).context) {
  const auto take = [&](std::int64_t elements, std::size_t size) {
    constexpr std::int64_t kLine = 64;
    const std::int64_t offset = bytes_;
    bytes_ += (elements * static_cast<std::int64_t>(size) + kLine - 1) / kLine * kLine;
    return offset;
  };
  const std::int64_t at_once = micro_batch > 0 ? micro_batch : sequences;
  for (std::int64_t first = 0; first < sequences; first += at_once) {
    const Piece piece{.first = first, .count = std::min(at_once, sequences - first)};
    const std::int64_t rows = runs() * piece.count * positions_;
    pieces_.push_back(piece);
    token_offsets_.push_back(take(rows, sizeof(std::int64_t)));
    target_offsets_.push_back(take(rows, sizeof(std::int64_t)));
    order_offsets_.push_back(take(rows, sizeof(std::int32_t)));
  }
  const std::int64_t sites = std::max<std::int64_t>(1, specs_[0].layers) * 4;
  keys_offset_ = take(sites * runs(), sizeof(std::uint64_t));
  controls_offset_ = take(runs(), sizeof(kernels::RunControl));
}

std::int64_t* Inputs::tokens(void* base, std::size_t piece) const {
  return at_offset<std::int64_t>(base, token_offsets_[piece]);
}
std::int64_t* Inputs::targets(void* base, std::size_t piece) const {
  return at_offset<std::int64_t>(base, target_offsets_[piece]);
}
std::int32_t* Inputs::order(void* base, std::size_t piece) const {
  return at_offset<std::int32_t>(base, order_offsets_[piece]);
}
std::uint64_t* Inputs::keys(void* base, std::int64_t layer, DropoutSite site) const {
  return at_offset<std::uint64_t>(base, keys_offset_) + site_index(layer, site) * runs();
}
kernels::RunControl* Inputs::controls(void* base) const {
  return at_offset<kernels::RunControl>(base, controls_offset_);
}

void Inputs::fill(const at::Tensor& host, std::span<const RunStep> steps) const {
  void* base = host.data_ptr();
  for (std::int64_t k = 0; k < runs(); ++k) {
    const run::RunSpec& spec = specs_[static_cast<std::size_t>(k)];
    const RunStep& step = steps[static_cast<std::size_t>(k)];
    for (std::size_t p = 0; p < pieces_.size(); ++p) {
      const TokenRows rows = step.batch->rows(pieces_[p].first, pieces_[p].count);
      const std::int64_t count = rows.sequences * rows.positions;
      std::copy_n(rows.inputs, count, tokens(base, p) + k * count);
      std::copy_n(rows.targets, count, targets(base, p) + k * count);
      sort_rows(rows.inputs, count, spec.vocab, order(base, p) + k * count);
    }
    const Dropout dropout(spec.dropout, static_cast<std::uint64_t>(spec.seed));
    const BatchPlace place{.step = step.step};
    for (std::int64_t layer = 0; layer < spec.layers && dropout.active(); ++layer)
      for (const DropoutSite site : {DropoutSite::embedding,
                                     DropoutSite::attention_weights,
                                     DropoutSite::attention_branch,
                                     DropoutSite::mlp_branch})
        keys(base, layer, site)[k] = dropout.mask(place, layer, site).key;
    controls(base)[k] = {.lr = step.lr,
                         .weight_decay = spec.weight_decay,
                         .clip = spec.clip,
                         .active = step.active ? 1 : 0};
  }
}

}  // namespace ration::train::device
