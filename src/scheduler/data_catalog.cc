#include "scheduler/data_catalog.h"

#include <fmt/format.h>

namespace ration::scheduler {
namespace {

Path absolute_path(const Path& path) {
  std::error_code ignored;
  const Path result = std::filesystem::absolute(path, ignored);
  return (ignored ? path : result).lexically_normal();
}

// Share of the held-out text above which it is said that losses flatter; below, quotations and
// common phrases are what is found.
constexpr double kWorthTelling = 0.01;

Json overlap_of(const data::Manifest& manifest) {
  return manifest.provenance.value("overlap", Json::object());
}

// Of the held-out text that was looked for, the part that was met.
double share_met(const Json& overlap) {
  const double bytes = overlap.value("held_out_bytes", 0.0);
  return bytes > 0 ? overlap.value("held_out_bytes_met", 0.0) / bytes : 0;
}

bool looked_for(const Json& overlap, const std::string& digest) {
  for (const Json& one : overlap.value("against", Json::array()))
    if (one.value("data", "") == digest) return true;
  return false;
}

}  // namespace

DataCatalog::DataCatalog(Files& files, Path base, const std::string& instead)
    : files_(files), base_(absolute_path(base.empty() ? "." : base)), instead_(instead) {}

const DataCatalog::Entry& DataCatalog::find(const std::string& name) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  const Path folder =
      instead_.empty() ? (base_ / name).lexically_normal() : absolute_path(instead_);
  Entry entry{.folder = folder.string(), .manifest = data::read_manifest(files_, folder)};
  return entries_.emplace(name, std::move(entry)).first->second;
}

const DataCatalog::Entry& DataCatalog::find_source(const std::string& name) {
  const auto found = sources_.find(name);
  if (found != sources_.end()) return found->second;
  const Path folder = (base_ / name).lexically_normal();
  Entry entry{.folder = folder.string(), .manifest = data::read_manifest(files_, folder)};
  return sources_.emplace(name, std::move(entry)).first->second;
}

std::vector<std::string> DataCatalog::overlap_notes() const {
  std::vector<std::string> notes;
  std::map<std::string, std::string> folders;  // by digest
  for (const auto& [name, entry] : entries_) {
    if (!entry.manifest) continue;
    folders.emplace(entry.manifest->digest, entry.folder);
    const double share = share_met(overlap_of(*entry.manifest));
    if (share >= kWorthTelling)
      notes.push_back(
          fmt::format("{}: {:.1f} % of the held-out text stands in the training documents too, "
                      "so losses flatter; `ration data prepare --filter against` takes it out",
                      entry.folder,
                      100 * share));
  }
  for (const auto& [folder, digest] : mixed_) {
    for (const auto& [name, entry] : sources_) {
      if (entry.folder != folder || !entry.manifest) continue;
      const Json overlap = overlap_of(*entry.manifest);
      if (!looked_for(overlap, digest))
        notes.push_back(
            fmt::format("{} was never compared with the held-out text of {}, into whose runs it is "
                        "mixed: prepare it with --against {}",
                        folder,
                        folders[digest],
                        folders[digest]));
      else if (share_met(overlap) >= kWorthTelling)
        notes.push_back(
            fmt::format("{} holds {:.1f} % of the held-out text that it was compared with, so "
                        "losses flatter; `ration data prepare --filter against` takes it out",
                        folder,
                        100 * share_met(overlap)));
      break;
    }
  }
  return notes;
}

}  // namespace ration::scheduler
