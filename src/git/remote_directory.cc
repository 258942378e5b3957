#include <fmt/format.h>

#include <filesystem>

#include "base/part_file.h"
#include "git/remote.h"
#include "versions/hold.h"

namespace ration::git {
namespace {

using versions::ObjectId;
using versions::ObjectStore;

// Laid out as a store, so that a copy of one is a remote, too.
class Directory final : public Remote {
 public:
  explicit Directory(const Path& folder) : store_(real_files(), folder) {}

  std::string place() const override { return store_.folder().string(); }

  Result<std::unordered_set<ObjectId>> list() override {
    Result<std::vector<ObjectId>> ids = store_.list();
    if (!ids) return std::move(ids).error();
    return std::unordered_set<ObjectId>(ids->begin(), ids->end());
  }

  Result<void> send(const ObjectStore& store,
                    std::span<const ObjectId> ids,
                    const TransferProgress& progress) override {
    // What is there stays: in other clones objects may build on each other the other way round, and
    // a mixture could build on itself. What was sent meanwhile has its parents there, too.
    Result<versions::Hold> hold = versions::Hold::in_turn(real_files(), store_.folder());
    if (!hold) return std::move(hold).error();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (progress) progress(i, ids.size());
      if (store_.contains(ids[i])) continue;
      const Path to = store_.path_of(ids[i]);
      if (Result<void> done = real_files().make_folders(to.parent_path()); !done) return done;
      const Path part = part_beside(real_files(), to);
      Result<void> done = copy(store.path_of(ids[i]), part);
      if (done) done = real_files().sync(part);
      if (done) done = real_files().rename(part, to);
      if (!done) return done;
    }
    return {};
  }

  Result<void> fetch(std::span<const ObjectId> ids, const Path& folder) override {
    for (const ObjectId& id : ids)
      if (store_.contains(id))
        if (Result<void> done = copy(store_.path_of(id), folder / id.hex); !done) return done;
    return {};
  }

 private:
  static Result<void> copy(const Path& from, const Path& to) {
    std::error_code code;
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, code);
    if (code) return system_error(fmt::format("copy {} to", from.string()), to, code.value());
    return {};
  }

  ObjectStore store_;
};

}  // namespace

Result<std::unique_ptr<Remote>> directory_remote(const Path& folder) {
  return std::unique_ptr<Remote>(std::make_unique<Directory>(folder));
}

}  // namespace ration::git
