#include "versions/object_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fault.h"
#include "base/part_file.h"
#include "versions/encoder.h"

namespace ration::versions {

Path ObjectStore::path_of(const ObjectId& id) const {
  return folder_ / "objects" / id.hex.substr(0, 2) / id.hex.substr(2);
}

namespace {

Error bad_chain(const ObjectId& id, std::string_view why) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("object {} is damaged: {}", id.hex, why),
          .hint = "`git ration fsck` lists all damaged objects"};
}

}  // namespace

Result<ObjectReader> ObjectStore::open(const ObjectId& id) const {
  std::vector<ObjectFile> chain;
  std::optional<ObjectId> next = id;
  while (next) {
    const Path path = path_of(*next);
    if (!files_->exists(path))
      return Error{
          .kind = ErrorKind::input,
          .what = fmt::format("object {} is missing{}",
                              next->hex,
                              chain.empty() ? "" : fmt::format("; object {} builds on it", id.hex)),
          .hint = "`git ration fetch` gets objects from the remote"};
    Result<ObjectFile> file = ObjectFile::open(*files_, path);
    if (!file) return std::move(file).error();
    if (!chain.empty() && file->info().layout.bytes != chain.front().info().layout.bytes)
      return bad_chain(id, "its parents have another length");
    next = file->info().parent;
    if (next == id || chain.size() >= kDeepestChain) return bad_chain(id, "it builds on itself");
    chain.push_back(std::move(*file));
  }
  return ObjectReader(std::move(chain));
}

Result<Stored> ObjectStore::add(const Content& content,
                                int threads,
                                const StoreLimits& limits) const {
  return use(content.id) ? Result<Stored>(Stored{}) : replace(content, threads, limits);
}

bool ObjectStore::use(const ObjectId& id) const {
  if (!contains(id)) return false;
  const Result<ObjectReader> reader = open(id);
  if (!reader || !reader->intact()) return false;
  const auto now = std::filesystem::file_time_type::clock::now();
  std::vector<ObjectId> ids = reader->parents();
  ids.push_back(id);
  for (const ObjectId& used : ids) {
    std::error_code ignored;
    std::filesystem::last_write_time(path_of(used), now, ignored);
  }
  return true;
}

Result<Stored> ObjectStore::replace(const Content& content,
                                    int threads,
                                    const StoreLimits& limits) const {
  const Path path = path_of(content.id);
  if (Result<void> done = files_->make_folders(path.parent_path()); !done)
    return std::move(done).error();
  const Path part = part_beside(*files_, path);
  if (Result<void> done = files_->remove_all(part); !done) return std::move(done).error();
  Result<std::uint64_t> bytes = encode_object(*this, content, part, threads, limits);
  fault_point("object-before-rename");
  Result<void> renamed = bytes ? files_->rename(part, path) : Result<void>();
  fault_point("object-after-rename");
  if (bytes && renamed) return Stored{.bytes = *bytes};
  const Result<void> ignored = files_->remove_all(part);
  (void)ignored;
  return bytes ? std::move(renamed).error() : std::move(bytes).error();
}

Result<std::vector<ObjectId>> ObjectStore::list() const {
  std::vector<ObjectId> ids;
  const Path objects = folder_ / "objects";
  if (!files_->exists(objects)) return ids;
  Result<std::vector<std::string>> folders = files_->list(objects);
  if (!folders) return std::move(folders).error();
  for (const std::string& folder : *folders) {
    Result<std::vector<std::string>> names = files_->list(objects / folder);
    if (!names) return std::move(names).error();
    for (const std::string& name : *names)
      if (std::optional<ObjectId> id = object_id_of(folder + name)) ids.push_back(std::move(*id));
  }
  return ids;
}

}  // namespace ration::versions
