#include "region/tied.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "region/gram.h"

namespace ration::region {
namespace {

bool same_bytes(const merge::Tensor& a, const merge::Tensor& b) {
  if (a.dtype != b.dtype || a.base.info->shape != b.base.info->shape) return false;
  const auto same = [](const merge::Source& x, const merge::Source& y) {
    const std::uint64_t size = x.info->end - x.info->begin;
    return y.info->end - y.info->begin == size && std::memcmp(x.bytes, y.bytes, size) == 0;
  };
  if (!same(a.base, b.base)) return false;
  for (std::size_t i = 0; i < a.models.size(); ++i)
    if (!same(a.models[i], b.models[i])) return false;
  return true;
}

bool is_embedding(const merge::Tensor& tensor) {
  const std::vector<std::string> groups = groups_of(tensor.out.name);
  return std::find(groups.begin(), groups.end(), "embedding") != groups.end();
}

}  // namespace

std::vector<std::size_t> counted_as(const merge::Layout& layout) {
  std::vector<std::size_t> places(layout.tensors.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  for (std::size_t i = 0; i < places.size(); ++i) {
    const merge::Tensor& tensor = layout.tensors[i];
    if (!tensor.merged || tensor.base.info->shape.size() < 2) continue;
    for (std::size_t j = 0; j < i; ++j) {
      const merge::Tensor& earlier = layout.tensors[j];
      if (!earlier.merged || places[j] != j || !same_bytes(earlier, tensor)) continue;
      if (!is_embedding(tensor) || is_embedding(earlier)) {
        places[i] = j;
        break;
      }
      for (std::size_t& place : places)
        if (place == j) place = i;
      break;
    }
  }
  return places;
}

}  // namespace ration::region
