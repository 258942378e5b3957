#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "git/hidden_refs.h"
#include "git/remote.h"

namespace ration::git {
namespace {

using versions::ObjectId;
using versions::ObjectStore;

// Objects that are pushed in one go: an interrupted push loses no more, and servers limit a push.
constexpr std::uint64_t kBatchBytes = std::uint64_t{256} << 20;

class GitServer final : public Remote {
 public:
  GitServer(const Repository& repository, std::string url)
      : repository_(&repository), refs_(repository, "git", std::move(url)) {}

  std::string place() const override { return refs_.url(); }

  Result<std::unordered_set<ObjectId>> list() override {
    if (Result<void> done = read(); !done) return std::move(done).error();
    std::unordered_set<ObjectId> ids;
    for (const auto& [id, batch] : batch_of_) ids.insert(id);
    return ids;
  }

  Result<void> send(const ObjectStore& store,
                    std::span<const ObjectId> ids,
                    const TransferProgress& progress) override {
    for (std::size_t first = 0; first < ids.size();) {
      if (progress) progress(first, ids.size());
      std::size_t count = 0;
      for (std::uint64_t bytes = 0; first + count < ids.size() && bytes < kBatchBytes; ++count)
        bytes += store.files().size(store.path_of(ids[first + count])).value_or(0);
      if (Result<void> done = send_batch(store, ids.subspan(first, count)); !done) return done;
      first += count;
    }
    return {};
  }

  Result<void> fetch(std::span<const ObjectId> ids, const Path& folder) override {
    if (Result<void> done = read(); !done) return done;
    std::unordered_map<std::string, std::vector<ObjectId>> wanted;
    for (const ObjectId& id : ids)
      if (const auto found = batch_of_.find(id); found != batch_of_.end())
        wanted[found->second].push_back(id);
    for (const auto& [batch, objects] : wanted) {
      Result<Workshop> workshop = Workshop::open(*repository_);
      if (!workshop) return std::move(workshop).error();
      const std::string ref = refs_.objects_ref(batch);
      Result<std::string> fetched = workshop->ask(
          {"fetch", "--quiet", "--depth=1", "--no-tags", refs_.url(), fmt::format("{0}:{0}", ref)});
      if (!fetched) return std::move(fetched).error();
      for (const ObjectId& id : objects)
        if (Result<void> done = workshop->save(fmt::format("{}:{}", ref, id.hex), folder / id.hex);
            !done)
          return done;
    }
    return {};
  }

 private:
  Result<void> read() {
    if (known_) return {};
    Result<std::vector<Batch>> batches = refs_.read();
    if (!batches) return std::move(batches).error();
    for (const Batch& batch : *batches)
      for (const BatchLine& line : batch.lines) batch_of_.emplace(line.id, batch.name);
    known_ = true;
    return {};
  }

  Result<void> send_batch(const ObjectStore& store, std::span<const ObjectId> ids) {
    Result<Workshop> workshop = Workshop::open(*repository_);
    if (!workshop) return std::move(workshop).error();
    std::string paths;
    std::vector<BatchLine> lines;
    for (const ObjectId& id : ids) {
      paths += std::filesystem::absolute(store.path_of(id)).string() + "\n";
      lines.push_back({id, {}});
    }
    Result<std::string> blobs =
        workshop->ask({"hash-object", "-w", "--no-filters", "--stdin-paths"}, paths);
    if (!blobs) return std::move(blobs).error();
    std::vector<std::pair<std::string, std::string>> files;
    std::size_t at = 0;
    for (const ObjectId& id : ids) {
      const std::size_t end = std::min(blobs->find('\n', at), blobs->size());
      files.emplace_back(id.hex, blobs->substr(at, end - at));
      at = end + 1;
    }
    Result<std::string> commit = workshop->commit(files);
    if (!commit) return std::move(commit).error();
    const Batch batch = HiddenRefs::batch_of(std::move(lines));
    Result<std::string> pushed =
        workshop->ask({"push",
                       "--quiet",
                       refs_.url(),
                       fmt::format("+{}:{}", *commit, refs_.objects_ref(batch.name))});
    if (!pushed) return std::move(pushed).error();
    return refs_.publish(*workshop, batch);
  }

  const Repository* repository_;
  HiddenRefs refs_;
  bool known_ = false;
  std::unordered_map<ObjectId, std::string> batch_of_;
};

}  // namespace

Result<std::unique_ptr<Remote>> git_remote(const Repository& repository, const std::string& url) {
  return std::unique_ptr<Remote>(std::make_unique<GitServer>(repository, url));
}

}  // namespace ration::git
