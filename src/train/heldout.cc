#include "train/heldout.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

namespace ration::train {

namespace {

// Calls take(batch) for windows [first, first + count), a few thousand tokens at a time.
template <class Take>
void in_batches(const Windows& windows, std::int64_t first, std::int64_t count, const Take& take) {
  constexpr std::int64_t kTokensAtOnce = 8192;
  const std::int64_t most = std::max<std::int64_t>(1, kTokensAtOnce / windows.context());
  for (const std::int64_t end = first + count; first < end; first += most) {
    std::vector<std::uint32_t> order(static_cast<std::size_t>(std::min(most, end - first)));
    std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
    take(windows.batch(order));
  }
}

}  // namespace

double HeldOut::loss(const Model& model, Group& group) const {
  const c10::InferenceMode no_gradients;
  const Share share = share_of(windows_.count(), group);
  double sum = 0;
  in_batches(windows_, share.first, share.count, [&](const Batch& batch) {
    sum += model.passes().loss_sum(batch.rows(0, batch.sequences()));
  });
  return group.sum(sum) / static_cast<double>(windows_.count() * windows_.context());
}

std::vector<double> window_losses(const Model& model, const Windows& windows) {
  const c10::InferenceMode no_gradients;
  const auto context = static_cast<std::ptrdiff_t>(windows.context());
  std::vector<double> losses;
  std::vector<double> of_tokens;
  in_batches(windows, 0, windows.count(), [&](const Batch& batch) {
    of_tokens.resize(static_cast<std::size_t>(batch.tokens()));
    model.passes().token_losses(batch.rows(0, batch.sequences()), of_tokens);
    for (auto token = of_tokens.begin(); token != of_tokens.end(); token += context)
      losses.push_back(std::accumulate(token, token + context, 0.0) / static_cast<double>(context));
  });
  return losses;
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
