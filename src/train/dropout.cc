#include "train/dropout.h"

#include <ATen/ATen.h>

#include "base/random.h"

namespace ration::train {

at::Tensor Dropout::apply(const at::Tensor& x,
                          const BatchPlace& place,
                          std::int64_t layer,
                          DropoutSite site) const {
  if (!active()) return x;
  constexpr std::uint64_t kSites = 4;
  const std::uint64_t where =
      static_cast<std::uint64_t>(layer) * kSites + static_cast<std::uint64_t>(site);
  Stream stream(seed_, StreamId::dropout, mix(static_cast<std::uint64_t>(place.step)) ^ where);
  stream.skip(static_cast<std::uint64_t>(place.first_sequence * (x.numel() / x.size(0))));

  at::Tensor mask = at::empty(x.sizes(), at::kDouble);
  auto* keep = mask.data_ptr<double>();
  const double scale = 1 / (1 - probability_);
  for (std::int64_t i = 0; i < mask.numel(); ++i)
    keep[i] = stream.uniform() < probability_ ? 0 : scale;
  return x * mask.to(x.scalar_type());
}

}  // namespace ration::train
