#pragma once

// The name of stored bytes: their SHA-256, whatever encoding they are kept in.

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ration::versions {

struct ObjectId {
  std::string hex;  // 64 lower-case hex digits

  auto operator<=>(const ObjectId&) const = default;
};

// Nothing unless the text is 64 lower-case hex digits.
std::optional<ObjectId> object_id_of(std::string_view hex);

}  // namespace ration::versions

template <>
struct std::hash<ration::versions::ObjectId> {
  std::size_t operator()(const ration::versions::ObjectId& id) const noexcept {
    return std::hash<std::string>()(id.hex);
  }
};
