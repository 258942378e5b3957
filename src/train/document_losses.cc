#include "train/document_losses.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace ration::train {
namespace {

constexpr std::int64_t kGrain = 8;            // lengths are filled up to multiples of it
constexpr std::int64_t kTokensAtOnce = 8192;  // of windows that are given to the model together

// Tokens [first, first + length) are its targets.
struct Window {
  std::size_t document = 0;
  std::int64_t first = 0;
  std::int64_t length = 0;
  bool begins = false;  // a document: its first input is the end token
  double loss = 0;
};

std::vector<Window> windows_of(std::span<const std::uint64_t> starts, std::int64_t context) {
  std::vector<Window> windows;
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    const auto begin = static_cast<std::int64_t>(starts[i] - starts[0]);
    const auto end = static_cast<std::int64_t>(starts[i + 1] - starts[0]);
    for (std::int64_t first = begin; first < end; first += context)
      windows.push_back({.document = i,
                         .first = first,
                         .length = std::min(context, end - first),
                         .begins = first == begin});
  }
  return windows;
}

std::int64_t filled_up(std::int64_t length, std::int64_t context) {
  return std::min(context, (length + kGrain - 1) / kGrain * kGrain);
}

// All of one filled-up length. What is filled up lies behind what is read, so that it changes
// nothing of it.
void compute(Passes& passes,
             std::span<Window* const> windows,
             std::span<const std::int32_t> tokens,
             std::int32_t end_token,
             std::int64_t positions,
             std::int64_t source) {
  const std::size_t size = windows.size() * static_cast<std::size_t>(positions);
  std::vector<std::int64_t> inputs(size, end_token), targets(size, end_token);
  std::vector<double> losses(size);
  const std::vector<std::int64_t> sources(windows.size(), source);
  for (std::size_t row = 0; row < windows.size(); ++row) {
    const Window& window = *windows[row];
    const std::size_t to = row * static_cast<std::size_t>(positions);
    const auto from = static_cast<std::size_t>(window.first);
    for (std::size_t t = 0; t < static_cast<std::size_t>(window.length); ++t) {
      targets[to + t] = tokens[from + t];
      if (t > 0 || !window.begins) inputs[to + t] = tokens[from + t - 1];
    }
  }
  passes.token_losses({.inputs = inputs.data(),
                       .targets = targets.data(),
                       .sequences = static_cast<std::int64_t>(windows.size()),
                       .positions = positions,
                       .sources = sources.data()},
                      losses);
  for (std::size_t row = 0; row < windows.size(); ++row) {
    const auto first = losses.begin() + static_cast<std::ptrdiff_t>(row) * positions;
    windows[row]->loss = std::accumulate(first, first + windows[row]->length, 0.0);
  }
}

}  // namespace

std::vector<double> document_losses(Passes& passes,
                                    std::span<const std::int32_t> tokens,
                                    std::span<const std::uint64_t> starts,
                                    std::int32_t end_token,
                                    std::int64_t context,
                                    std::int64_t source) {
  const c10::InferenceMode no_gradients;
  std::vector<Window> windows = windows_of(starts, context);
  const auto positions_of = [&](const Window* w) { return filled_up(w->length, context); };
  std::vector<Window*> order;
  for (Window& window : windows) order.push_back(&window);
  std::stable_sort(order.begin(), order.end(), [&](const Window* a, const Window* b) {
    return positions_of(a) > positions_of(b);
  });
  for (auto first = order.begin(); first != order.end();) {
    const std::int64_t positions = positions_of(*first);
    const auto other = std::find_if(
        first, order.end(), [&](const Window* w) { return positions_of(w) != positions; });
    const std::int64_t most = std::max<std::int64_t>(1, kTokensAtOnce / positions);
    const auto last = first + std::min<std::ptrdiff_t>(most, other - first);
    compute(passes, std::span<Window* const>(first, last), tokens, end_token, positions, source);
    first = last;
  }
  std::vector<double> sums(starts.size() - 1, 0);
  for (const Window& window : windows) sums[window.document] += window.loss;
  return sums;
}

}  // namespace ration::train
