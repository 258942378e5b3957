#include "scheduler/data_catalog.h"

#include <fmt/format.h>

#include <optional>

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

// Of a held-out text that was looked for, the part that was met.
double share_met(const Json& held_out) {
  const double bytes = held_out.value("bytes", 0.0);
  return bytes > 0 ? held_out.value("bytes_met", 0.0) / bytes : 0;
}

// The part of the held-out text of these data that a source holds; nothing when it was not looked
// for.
std::optional<double> share_of(const data::Manifest& source, const std::string& digest) {
  const Json overlap = overlap_of(source);
  for (const Json& one : overlap.value("against", Json::array()))
    if (one.value("data", "") == digest) return share_met(one);
  // Looked for by a filter, which took it out.
  const Json filters = source.provenance.value("filters", Json::object());
  for (const Json& one : filters.value("against", Json::array()))
    if (one.value("data", "") == digest) return 0;
  return std::nullopt;
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
    const double share = share_met(overlap_of(*entry.manifest).value("own", Json::object()));
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
      const std::optional<double> share = share_of(*entry.manifest, digest);
      if (!share)
        notes.push_back(
            fmt::format("{} was never compared with the held-out text of {}, into whose runs it is "
                        "mixed: prepare it with --against {}",
                        folder,
                        folders[digest],
                        folders[digest]));
      else if (*share >= kWorthTelling)
        notes.push_back(
            fmt::format("{} holds {:.1f} % of the held-out text of {}, so losses flatter; `ration "
                        "data prepare --filter against --against {}` takes it out",
                        folder,
                        100 * *share,
                        folders[digest],
                        folders[digest]));
      break;
    }
  }
  return notes;
}

}  // namespace ration::scheduler
