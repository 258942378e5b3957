#include "versions/object_id.h"

#include <algorithm>

namespace ration::versions {

std::optional<ObjectId> object_id_of(std::string_view hex) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (hex.size() != 64 || !std::all_of(hex.begin(), hex.end(), is_digit)) return std::nullopt;
  return ObjectId{std::string(hex)};
}

}  // namespace ration::versions
