#include "git/lfs_pointer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "versions/object_id.h"

namespace ration::git {
namespace {

constexpr std::string_view kVersion = "version https://git-lfs.github.com/spec/v1";
// Pointers of 2014 name it so.
constexpr std::string_view kOldVersion = "version https://hawser.github.com/spec/v1";
constexpr std::string_view kHash = "sha256:";

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<LfsPointer> read_lfs_pointer(std::string_view text) {
  if (text.size() > kLongestPointer) return std::nullopt;
  LfsPointer pointer;
  bool has_version = false;
  bool has_size = false;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t blank = line.find(' ');
    if (!has_version) {
      if (line != kVersion && line != kOldVersion) return std::nullopt;
      has_version = true;
      continue;
    }
    if (blank == std::string_view::npos) return std::nullopt;
    const std::string_view key = line.substr(0, blank);
    const std::string_view value = line.substr(blank + 1);
    if (key == "oid" && value.starts_with(kHash) &&
        versions::object_id_of(value.substr(kHash.size())))
      pointer.oid = value.substr(kHash.size());
    else if (key == "size" && read_number(value, pointer.size))
      has_size = true;
    else if (key.starts_with("ext-"))
      pointer.extended = true;
    else
      return std::nullopt;
  }
  return !pointer.oid.empty() && has_size ? std::optional(pointer) : std::nullopt;
}

std::string to_text(const LfsPointer& pointer) {
  return fmt::format("{}\noid {}{}\nsize {}\n", kVersion, kHash, pointer.oid, pointer.size);
}

}  // namespace ration::git
