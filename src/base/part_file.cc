#include "base/part_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/process.h"

namespace ration {
namespace {

constexpr std::string_view kEnding = ".part";

// The process that uses a name "<pid>.part…"; nothing for other names.
std::optional<std::int64_t> owner_of(std::string_view name) {
  std::int64_t pid = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), pid);
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  if (code != std::errc() || pid <= 0 || !name.starts_with(kEnding)) return std::nullopt;
  return pid;
}

}  // namespace

Path part_beside(Files& files, const Path& file) {
  const std::string prefix = fmt::format("{}.{}-", file.filename().string(), host_name());
  const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
  // A folder that cannot be listed is told by whoever writes there.
  const std::vector<std::string> names = files.list(folder).value_or(std::vector<std::string>());
  for (const std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    const auto owner = owner_of(std::string_view(name).substr(prefix.size()));
    if (!owner || identify(*owner)) continue;
    const Result<void> ignored = files.remove_all(folder / name);
    (void)ignored;
  }
  return folder / fmt::format("{}{}{}", prefix, getpid(), kEnding);
}

}  // namespace ration
