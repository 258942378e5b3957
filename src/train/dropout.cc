#include "train/dropout.h"

#include <ATen/ATen.h>

#include "base/random.h"

namespace ration::train {

namespace {

// The stream of a site in a layer: the layer and site are small numbers, the step is spread over
// all bits first, so that no two places share a stream.
Stream stream_of(std::uint64_t seed,
                 const BatchPlace& place,
                 std::int64_t layer,
                 DropoutSite site) {
  constexpr std::uint64_t kSites = 4;
  const std::uint64_t where =
      static_cast<std::uint64_t>(layer) * kSites + static_cast<std::uint64_t>(site);
  return {seed, StreamId::dropout, mix(static_cast<std::uint64_t>(place.step)) ^ where};
}

}  // namespace

cpu::Mask Dropout::mask(const BatchPlace& place, std::int64_t layer, DropoutSite site) const {
  return {.key = stream_of(seed_, place, layer, site).key(), .probability = probability_};
}

at::Tensor Dropout::apply(const at::Tensor& x,
                          const BatchPlace& place,
                          std::int64_t layer,
                          DropoutSite site) const {
  if (!active()) return x;
  Stream stream = stream_of(seed_, place, layer, site);
  stream.skip(static_cast<std::uint64_t>(place.first_sequence * (x.numel() / x.size(0))));

  at::Tensor mask = at::empty(x.sizes(), at::kDouble);
  auto* keep = mask.data_ptr<double>();
  const double scale = 1 / (1 - probability_);
  for (std::int64_t i = 0; i < mask.numel(); ++i)
    keep[i] = stream.uniform() < probability_ ? 0 : scale;
  return x * mask.to(x.scalar_type());
}

}  // namespace ration::train
