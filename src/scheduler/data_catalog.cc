#include "scheduler/data_catalog.h"

namespace ration::scheduler {
namespace {

Path absolute_path(const Path& path) {
  std::error_code ignored;
  const Path result = std::filesystem::absolute(path, ignored);
  return (ignored ? path : result).lexically_normal();
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

}  // namespace ration::scheduler
