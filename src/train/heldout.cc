#include "train/heldout.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

namespace ration::train {

double HeldOut::loss(const Model& model, Group& group) const {
  const c10::InferenceMode no_gradients;
  constexpr std::int64_t kTokensAtOnce = 8192;  // that are copied out of the windows
  std::vector<std::uint32_t> order(static_cast<std::size_t>(windows_.count()));
  std::iota(order.begin(), order.end(), 0U);
  const std::int64_t context = windows_.batch(std::span(order).first(1)).tokens();
  const auto sequences =
      static_cast<std::size_t>(std::max<std::int64_t>(1, kTokensAtOnce / context));
  const Share share = share_of(windows_.count(), group);
  const auto own = std::span(order).subspan(static_cast<std::size_t>(share.first),
                                            static_cast<std::size_t>(share.count));
  double sum = 0;
  for (std::size_t first = 0; first < own.size(); first += sequences) {
    const Batch batch = windows_.batch(own.subspan(first, std::min(sequences, own.size() - first)));
    sum += model.passes().loss_sum(batch.rows(0, batch.sequences()));
  }
  return group.sum(sum) / (static_cast<double>(order.size()) * static_cast<double>(context));
}

bool crosses_grid(std::int64_t before, std::int64_t after, std::int64_t per_decade) {
  if (per_decade == 0) return false;
  const auto cell = [&](std::int64_t tokens) {
    return tokens <= 0 ? -1.0
                       : std::floor(static_cast<double>(per_decade) *
                                    std::log10(static_cast<double>(tokens)));
  };
  return cell(after) > cell(before);
}

}  // namespace ration::train
