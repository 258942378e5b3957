#include "train/batches.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/random.h"

namespace ration::train {

std::int64_t Origin::told(std::uint32_t window) const {
  constexpr std::uint64_t kTold = std::uint64_t{1} << 40;  // no epoch of the stream's other use
  Stream stream(
      seed, StreamId::sources, kTold + 2 * static_cast<std::uint64_t>(source) + (heldout ? 1 : 0));
  stream.skip(2 * static_cast<std::uint64_t>(window));
  if (stream.uniform() >= noise) return source;
  return static_cast<std::int64_t>(stream.uniform() * static_cast<double>(sources));
}

Windows::Windows(std::vector<std::int32_t> tokens, std::int64_t context, Origin origin)
    : tokens_(std::move(tokens)),
      context_(context),
      count_(std::max<std::int64_t>(0, (static_cast<std::int64_t>(tokens_.size()) - 1) / context)),
      origin_(origin) {}

Batch Windows::batch(std::span<const std::uint32_t> windows) const {
  const auto sequences = static_cast<std::int64_t>(windows.size());
  Batch batch{at::empty({sequences, context_}, at::kLong),
              at::empty({sequences, context_}, at::kLong)};
  auto* input = batch.inputs.data_ptr<std::int64_t>();
  auto* target = batch.targets.data_ptr<std::int64_t>();
  for (const std::uint32_t window : windows) {
    const std::int32_t* first = tokens_.data() + static_cast<std::int64_t>(window) * context_;
    input = std::copy(first, first + context_, input);
    target = std::copy(first + 1, first + 1 + context_, target);
  }
  batch.end_token = origin_.end_token;
  if (origin_.sources == 1) return batch;
  batch.sources = at::empty({sequences}, at::kLong);
  auto* source = batch.sources.data_ptr<std::int64_t>();
  for (const std::uint32_t window : windows) *source++ = origin_.told(window);
  return batch;
}

std::int64_t PoolWindows::count() const {
  return data::usable_tokens(pool_.tokens(), context_) / context_;
}

Batch PoolWindows::batch(std::span<const std::uint32_t> windows) const {
  const auto sequences = static_cast<std::int64_t>(windows.size());
  Batch batch{at::empty({sequences, context_}, at::kLong),
              at::empty({sequences, context_}, at::kLong)};
  auto* input = batch.inputs.data_ptr<std::int64_t>();
  auto* target = batch.targets.data_ptr<std::int64_t>();
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(context_) + 1);
  for (const std::uint32_t window : windows) {
    pool_.copy(window * context_, tokens);
    input = std::copy(tokens.begin(), tokens.end() - 1, input);
    target = std::copy(tokens.begin() + 1, tokens.end(), target);
  }
  return batch;
}

TrainingData::TrainingData(Windows windows, std::uint64_t seed, data::SchedulePosition position)
    : windows_(std::move(windows)),
      schedule_(static_cast<std::uint32_t>(windows_.count()), seed, position) {}

Batch TrainingData::next(std::int64_t sequences) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(sequences));
  for (std::uint32_t& window : order) window = schedule_.next();
  return windows_.batch(order);
}

at::Tensor drawn_tokens(const run::RunSpec& spec, std::int64_t step) {
  at::Tensor tokens = at::empty({spec.batch_sequences, spec.context + 1}, at::kLong);
  Stream stream(
      static_cast<std::uint64_t>(spec.seed), StreamId::windows, static_cast<std::uint64_t>(step));
  auto* to = tokens.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens.numel(); ++i)
    to[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(spec.vocab)));
  return tokens;
}

Batch drawn_batch(const run::RunSpec& spec, std::int64_t step) {
  const at::Tensor tokens = drawn_tokens(spec, step);
  return {tokens.narrow(1, 0, spec.context).contiguous(),
          tokens.narrow(1, 1, spec.context).contiguous()};
}

std::int64_t windows_for(std::int64_t tokens, std::int64_t context) {
  return (tokens + context - 1) / context;
}

}  // namespace ration::train
