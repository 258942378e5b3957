#include "region/tied.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "region/gram.h"

namespace ration::region {
namespace {

bool same_bytes(const merge::Source& a, const merge::Source& b) {
  const std::uint64_t size = a.info->end - a.info->begin;
  return b.info->end - b.info->begin == size && std::memcmp(a.bytes, b.bytes, size) == 0;
}

bool same_bytes(const merge::Tensor& a, const merge::Tensor& b) {
  if (a.dtype != b.dtype || a.base.info->shape != b.base.info->shape) return false;
  if (!same_bytes(a.base, b.base)) return false;
  for (std::size_t i = 0; i < a.models.size(); ++i)
    if (!same_bytes(a.models[i], b.models[i])) return false;
  return true;
}

bool is_in(const merge::Tensor& tensor, std::string_view group) {
  const std::vector<std::string> groups = groups_of(tensor.out.name);
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

bool is_embedding(const merge::Tensor& tensor) { return is_in(tensor, "embedding"); }

bool one_tensor(const merge::Tensor& a, const merge::Tensor& b) {
  if (!same_bytes(a, b)) return false;
  if ((is_embedding(a) && is_in(b, "head")) || (is_in(a, "head") && is_embedding(b))) return true;
  return std::any_of(a.models.begin(), a.models.end(), [&](const merge::Source& model) {
    return !same_bytes(model, a.base);
  });
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
      if (!earlier.merged || places[j] != j || !one_tensor(earlier, tensor)) continue;
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
