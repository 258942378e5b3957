#pragma once

// What git-lfs stores in git in the place of a file. See git-lfs, docs/spec.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ration::git {

struct LfsPointer {
  std::string oid;         // SHA-256 of the file, 64 hex digits
  std::uint64_t size = 0;  // of the file, bytes
  // An extension changes the file on its way: what lies under `oid` is not what is checked out.
  bool extended = false;

  bool operator==(const LfsPointer&) const = default;
};

// Longer texts are no pointers, bytes.
constexpr std::uint64_t kLongestPointer = 1023;

// Nothing for other texts.
std::optional<LfsPointer> read_lfs_pointer(std::string_view text);

// The text of one without extensions.
std::string to_text(const LfsPointer& pointer);

}  // namespace ration::git
