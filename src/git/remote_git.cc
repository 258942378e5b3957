#include <fmt/format.h>

#include <charconv>
#include <map>
#include <unordered_map>

#include "git/hidden_refs.h"
#include "git/remote.h"

namespace ration::git {
namespace {

using versions::ObjectId;
using versions::ObjectStore;

// Objects of a batch, in one blob: servers limit the size of files, and look for likenesses between
// the blobs that they send, in vain for these, so one fetch shall find one.
constexpr std::uint64_t kBatchBytes = std::uint64_t{48} << 20;
// Of batches that are pushed in one go: an interrupted push loses no more.
constexpr std::uint64_t kPushBytes = std::uint64_t{256} << 20;
constexpr const char* kBlob = "objects";

// Where an object lies in the blob of its batch.
struct Place {
  std::string batch;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  std::uint64_t depth = 0;  // parents that it builds on
};

// "<begin> <size> <depth>", behind the id in a list.
std::optional<Place> place_of(const std::string& batch, std::string_view text) {
  Place place{.batch = batch};
  for (std::uint64_t* number : {&place.begin, &place.size, &place.depth}) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (code != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return text.empty() ? std::optional(place) : std::nullopt;
}

class GitServer final : public Remote {
 public:
  GitServer(const Repository& repository, std::string url)
      : repository_(&repository), refs_(repository, "git", std::move(url)) {}

  std::string place() const override { return refs_.url(); }

  Result<std::unordered_set<ObjectId>> list() override {
    if (Result<void> done = read(); !done) return std::move(done).error();
    std::unordered_set<ObjectId> ids;
    for (const auto& [id, place] : place_of_) ids.insert(id);
    return ids;
  }

  Result<void> send(const ObjectStore& store,
                    std::span<const ObjectId> ids,
                    const TransferProgress& progress) override {
    for (std::size_t done = 0; done < ids.size();) {
      if (progress) progress(done, ids.size());
      Result<std::size_t> sent = send_some(store, ids.subspan(done));
      if (!sent) return std::move(sent).error();
      done += *sent;
    }
    return {};
  }

  Result<void> fetch(std::span<const ObjectId> ids, const Path& folder) override {
    if (Result<void> done = read(); !done) return done;
    std::map<std::string, std::vector<ObjectId>> wanted;
    for (const ObjectId& id : ids)
      if (const auto found = place_of_.find(id); found != place_of_.end())
        wanted[found->second.batch].push_back(id);
    for (const auto& [batch, objects] : wanted)
      if (Result<void> done = fetch_batch(batch, objects, folder); !done) return done;
    return {};
  }

 private:
  Result<void> read() {
    if (known_) return {};
    Result<std::vector<Batch>> batches = refs_.read();
    if (!batches) return std::move(batches).error();
    for (const Batch& batch : *batches)
      for (const BatchLine& line : batch.lines)
        if (std::optional<Place> place = place_of(batch.name, line.more)) {
          // Of several encodings that people pushed at once the one that builds on the fewest.
          const auto [known, added] = place_of_.emplace(line.id, *place);
          if (!added && place->depth < known->second.depth) known->second = *place;
        }
    known_ = true;
    return {};
  }

  Result<void> fetch_batch(const std::string& batch,
                           std::span<const ObjectId> ids,
                           const Path& folder) {
    Result<Workshop> workshop = Workshop::open(*repository_);
    if (!workshop) return std::move(workshop).error();
    const std::string ref = refs_.objects_ref(batch);
    Result<std::string> fetched = workshop->ask(
        {"fetch", "--quiet", "--depth=1", "--no-tags", refs_.url(), fmt::format("{0}:{0}", ref)});
    if (!fetched) return std::move(fetched).error();
    const Path blob = folder / batch;
    if (Result<void> done = workshop->save(fmt::format("{}:{}", ref, kBlob), blob); !done)
      return done;
    for (const ObjectId& id : ids) {
      const Place& place = place_of_.at(id);
      const Result<std::string> bytes = real_files().read_range(blob, place.begin, place.size);
      if (!bytes) return bytes.error();
      if (Result<void> done = real_files().write_whole(folder / id.hex, *bytes); !done) return done;
    }
    return real_files().remove_all(blob);
  }

  // A blob of the first objects of `ids`, as many as make a batch; its list.
  Result<std::pair<std::string, Batch>> make_blob(const ObjectStore& store,
                                                  const Workshop& workshop,
                                                  std::span<const ObjectId> ids) {
    const Path file = workshop.folder() / "batch";
    if (Result<void> done = real_files().remove_all(file); !done) return std::move(done).error();
    Result<std::unique_ptr<AppendFile>> blob = real_files().open_append(file);
    if (!blob) return std::move(blob).error();
    std::vector<BatchLine> lines;
    std::uint64_t written = 0;
    for (const ObjectId& id : ids) {
      Result<std::unique_ptr<MappedFile>> object = store.files().map(store.path_of(id));
      if (!object) return std::move(object).error();
      const std::span<const std::byte> bytes = (*object)->bytes();
      if (written > 0 && written + bytes.size() > kBatchBytes) break;
      if (Result<void> done =
              (*blob)->append({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
          !done)
        return std::move(done).error();
      const Result<versions::ObjectFile> info =
          versions::ObjectFile::open(store.files(), store.path_of(id));
      if (!info) return info.error();
      lines.push_back({id, fmt::format("{} {} {}", written, bytes.size(), info->info().depth)});
      written += bytes.size();
    }
    Result<std::string> id = workshop.ask({"hash-object", "-w", "--no-filters", file.string()});
    if (!id) return std::move(id).error();
    return std::pair(std::move(*id), HiddenRefs::batch_of(std::move(lines)));
  }

  // Pushes batches of the first objects of `ids`; how many objects they hold.
  Result<std::size_t> send_some(const ObjectStore& store, std::span<const ObjectId> ids) {
    Result<Workshop> workshop = Workshop::open(*repository_);
    if (!workshop) return std::move(workshop).error();
    std::vector<std::string> words = {"push", "--quiet", "--no-verify", refs_.url()};
    std::vector<Batch> batches;
    std::size_t count = 0;
    for (std::uint64_t bytes = 0; count < ids.size() && bytes < kPushBytes; bytes += kBatchBytes) {
      auto made = make_blob(store, *workshop, ids.subspan(count));
      if (!made) return std::move(made).error();
      const auto& [blob, batch] = *made;
      const std::vector<std::pair<std::string, std::string>> files = {{kBlob, blob}};
      Result<std::string> commit = workshop->commit(files);
      if (!commit) return std::move(commit).error();
      words.push_back(fmt::format("+{}:{}", *commit, refs_.objects_ref(batch.name)));
      count += batch.lines.size();
      batches.push_back(batch);
    }
    Result<std::string> pushed = workshop->ask(words);
    if (!pushed) return std::move(pushed).error();
    for (const Batch& batch : batches)
      if (Result<void> done = refs_.publish(*workshop, batch); !done)
        return std::move(done).error();
    return count;
  }

  const Repository* repository_;
  HiddenRefs refs_;
  bool known_ = false;
  std::unordered_map<ObjectId, Place> place_of_;
};

}  // namespace

Result<std::unique_ptr<Remote>> git_remote(const Repository& repository, const std::string& url) {
  return std::unique_ptr<Remote>(std::make_unique<GitServer>(repository, url));
}

}  // namespace ration::git
