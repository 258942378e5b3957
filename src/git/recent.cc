#include "git/recent.h"

#include <algorithm>

namespace ration::git {
namespace {

using versions::Manifest;

struct Entry {
  std::filesystem::file_time_type time;
  Path path;
};

// Newest first.
std::vector<Entry> entries(Files& files, const Path& folder) {
  std::vector<Entry> found;
  for (const std::string& name : files.list(folder).value_or(std::vector<std::string>())) {
    if (!versions::object_id_of(name)) continue;
    std::error_code gone;
    const auto time = std::filesystem::last_write_time(folder / name, gone);
    if (!gone) found.push_back({time, folder / name});
  }
  std::stable_sort(
      found.begin(), found.end(), [](const Entry& a, const Entry& b) { return a.time > b.time; });
  return found;
}

}  // namespace

std::vector<Manifest> recent_manifests(Files& files, const Path& store) {
  std::vector<Manifest> manifests;
  for (const Entry& entry : entries(files, store / "recent")) {
    if (manifests.size() == kRecent) break;
    const Result<std::string> text = files.read(entry.path);
    Result<Manifest> manifest = text ? versions::parse_manifest(*text) : text.error();
    if (manifest) manifests.push_back(std::move(*manifest));
  }
  return manifests;
}

void remember(Files& files, const Path& store, const Manifest& manifest) {
  const Path folder = store / "recent";
  Result<void> done = files.make_folders(folder);
  if (done) done = files.write_whole(folder / manifest.file.hex, versions::to_text(manifest));
  const std::vector<Entry> all = entries(files, folder);
  for (std::size_t i = kRecent; done && i < all.size(); ++i) done = files.remove_all(all[i].path);
}

}  // namespace ration::git
