#include "git/transfer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>

#include "versions/hold.h"
#include "versions/restore.h"

namespace ration::git {
namespace {

using versions::Manifest;
using versions::ObjectFile;
using versions::ObjectId;
using versions::ObjectStore;

// Which objects are to be sent, parents first, and which are nowhere.
class Plan {
 public:
  Plan(const ObjectStore& store, std::unordered_set<ObjectId> there)
      : store_(store), known_(std::move(there)) {}

  Result<void> add(const ObjectId& id) {
    // From the object to the first parent that is known, then back.
    std::vector<ObjectId> chain;
    for (std::optional<ObjectId> next = id; next && known_.insert(*next).second;) {
      if (!store_.contains(*next)) {
        nowhere_.push_back(*next);
        break;
      }
      Result<ObjectFile> file = ObjectFile::open(store_.files(), store_.path_of(*next));
      if (!file) return std::move(file).error();
      chain.push_back(*next);
      next = file->info().parent;
    }
    ids_.insert(ids_.end(), chain.rbegin(), chain.rend());
    return {};
  }

  const std::vector<ObjectId>& ids() const { return ids_; }
  const std::vector<ObjectId>& nowhere() const { return nowhere_; }

 private:
  const ObjectStore& store_;
  std::unordered_set<ObjectId> known_;  // at the remote, or seen
  std::vector<ObjectId> ids_;
  std::vector<ObjectId> nowhere_;
};

Error lacking(const std::vector<ObjectId>& ids, const std::string& place) {
  Error error{
      .kind = ErrorKind::input,
      .what = fmt::format("nothing was sent: {} that this push needs {} neither here nor at {}",
                          ids.size() == 1 ? "an object" : fmt::format("{} objects", ids.size()),
                          ids.size() == 1 ? "is" : "are",
                          place),
      .hint = "push from the clone that has them, or `git ration fetch` from where they are"};
  for (std::size_t i = 0; i < std::min<std::size_t>(ids.size(), 5); ++i)
    error.causes.push_back(
        {.kind = ErrorKind::input, .what = fmt::format("object {} is missing", ids[i].hex)});
  return error;
}

// A folder for arriving files, removed at the end.
class Arrivals {
 public:
  static Result<Arrivals> make(const ObjectStore& store) {
    static std::atomic<int> counter{0};
    Path folder = store.folder() / "tmp" / fmt::format("fetch-{}-{}", getpid(), counter++);
    if (Result<void> done = store.files().make_folders(folder); !done)
      return std::move(done).error();
    return Arrivals(std::move(folder));
  }
  Arrivals(Arrivals&& other) noexcept : folder_(std::move(other.folder_)) { other.folder_.clear(); }
  Arrivals& operator=(Arrivals&&) = delete;
  ~Arrivals() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  const Path& folder() const { return folder_; }

 private:
  explicit Arrivals(Path folder) : folder_(std::move(folder)) {}
  Path folder_;
};

// Fetches objects and their parents into a folder, then moves them into the store.
class Fetch {
 public:
  Fetch(const ObjectStore& store, Remote& remote, const Path& folder)
      : store_(store), remote_(remote), folder_(folder) {}

  // Everything that `wanted` needs and that the remote has.
  Result<void> gather(std::vector<ObjectId> wanted) {
    while (!wanted.empty()) {
      if (Result<void> done = remote_.fetch(wanted, folder_); !done) return done;
      asked_.insert(wanted.begin(), wanted.end());
      for (const ObjectId& id : wanted) {
        if (!store_.files().exists(folder_ / id.hex)) continue;
        Result<ObjectFile> file = ObjectFile::open(store_.files(), folder_ / id.hex);
        if (!file) return std::move(file).error().with_context("from " + remote_.place());
        arrived_.emplace(id, file->info().parent);
      }
      wanted = lacking();
    }
    return {};
  }

  Result<Transferred> adopt() {
    Transferred sum;
    for (const auto& [id, parent] : arrived_)
      if (Result<void> done = adopt(id, sum); !done) return std::move(done).error();
    return sum;
  }

 private:
  // From an object to the one that builds on nothing, as the store would have them with all that
  // arrived; shorter where one is in neither place, and where they build on each other, which
  // `circle` tells.
  std::vector<ObjectId> chain_of(const ObjectId& id, bool* circle) const {
    std::vector<ObjectId> chain;
    *circle = false;
    for (std::optional<ObjectId> next = id; next; next = parent_of(*next)) {
      *circle = std::find(chain.begin(), chain.end(), *next) != chain.end();
      if (*circle) break;
      chain.push_back(*next);
    }
    return chain;
  }

  std::optional<ObjectId> parent_of(const ObjectId& id) const {
    if (const auto found = arrived_.find(id); found != arrived_.end()) return found->second;
    const Result<ObjectFile> file = ObjectFile::open(store_.files(), store_.path_of(id));
    return file ? file->info().parent : std::nullopt;
  }

  // What to ask for next: parents that are in neither place and, where arrived objects and stored
  // ones build on each other, the remote's encodings of the stored ones.
  std::vector<ObjectId> lacking() const {
    std::set<ObjectId> lacking;
    for (const auto& [id, parent] : arrived_) {
      bool circle = false;
      for (const ObjectId& member : chain_of(id, &circle))
        if (circle || !store_.contains(member)) lacking.insert(member);
    }
    std::vector<ObjectId> ids(lacking.begin(), lacking.end());
    std::erase_if(ids, [&](const ObjectId& member) { return asked_.contains(member); });
    return ids;
  }

  // Behind its parents. One whose parents did not come stays outside.
  Result<void> adopt(const ObjectId& id, Transferred& sum) {
    bool circle = false;
    const std::vector<ObjectId> chain = chain_of(id, &circle);
    const auto is_there = [&](const ObjectId& member) {
      return arrived_.contains(member) || store_.contains(member);
    };
    if (circle || !std::all_of(chain.begin(), chain.end(), is_there)) return {};
    for (auto member = chain.rbegin(); member != chain.rend(); ++member) {
      const auto found = arrived_.find(*member);
      if (found == arrived_.end() || !adopted_.insert(*member).second) continue;
      if (Result<void> done = check(*member, found->second); !done) return done;
      const Path from = folder_ / member->hex;
      sum.bytes += store_.files().size(from).value_or(0);
      ++sum.objects;
      const Path to = store_.path_of(*member);
      Result<void> done = store_.files().make_folders(to.parent_path());
      if (done) done = store_.files().sync(from);
      if (done) done = store_.files().rename(from, to);
      if (!done) return done;
    }
    return {};
  }

  // Whether it stands for the bytes that its name says. Its parents are in the store.
  Result<void> check(const ObjectId& id, const std::optional<ObjectId>& parent) const {
    Result<ObjectFile> own = ObjectFile::open(store_.files(), folder_ / id.hex);
    if (!own) return std::move(own).error();
    std::vector<ObjectFile> alone;
    std::optional<versions::ObjectReader> reader;
    if (parent) {
      const Result<versions::ObjectReader> below = store_.open(*parent);
      if (!below) return below.error();
      reader.emplace(std::move(*own), *below);
    } else {
      alone.push_back(std::move(*own));
      reader.emplace(std::move(alone));
    }
    const Result<ObjectId> digest = reader->digest();
    if (digest && *digest == id) return {};
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} has a damaged object {}: {}",
                                     remote_.place(),
                                     id.hex,
                                     digest ? "it stands for other bytes" : digest.error().what),
                 .hint = "push it from a clone that has it, after removing it there"};
  }

  const ObjectStore& store_;
  Remote& remote_;
  const Path& folder_;
  std::map<ObjectId, std::optional<ObjectId>> arrived_;  // with their parents
  std::set<ObjectId> asked_;
  std::set<ObjectId> adopted_;
};

Result<std::vector<ObjectId>> missing_of(const ObjectStore& store,
                                         std::span<const Manifest> manifests) {
  std::set<ObjectId> missing;
  for (const Manifest& manifest : manifests) {
    Result<std::vector<ObjectId>> ids = versions::missing_objects(store, manifest);
    if (!ids) return ids;
    missing.insert(ids->begin(), ids->end());
  }
  return std::vector<ObjectId>(missing.begin(), missing.end());
}

}  // namespace

Result<Transferred> push_objects(const ObjectStore& store,
                                 Remote& remote,
                                 std::span<const Manifest> manifests,
                                 const TransferProgress& progress) {
  Result<versions::Hold> hold = versions::Hold::to_add(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  Result<std::unordered_set<ObjectId>> there = remote.list();
  if (!there) return std::move(there).error();
  Plan plan(store, std::move(*there));
  for (const Manifest& manifest : manifests)
    for (const ObjectId& id : versions::objects_of(manifest))
      if (Result<void> done = plan.add(id); !done) return std::move(done).error();
  if (!plan.nowhere().empty()) return lacking(plan.nowhere(), remote.place());
  Transferred sum{.objects = plan.ids().size()};
  for (const ObjectId& id : plan.ids())
    sum.bytes += store.files().size(store.path_of(id)).value_or(0);
  if (Result<void> done = remote.send(store, plan.ids(), progress); !done)
    return std::move(done).error();
  return sum;
}

Result<Fetched> fetch_objects(const ObjectStore& store,
                              Remote& remote,
                              std::span<const Manifest> manifests) {
  Result<versions::Hold> hold = versions::Hold::to_add(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  Result<std::vector<ObjectId>> wanted = missing_of(store, manifests);
  if (!wanted) return std::move(wanted).error();
  Fetched fetched;
  if (wanted->empty()) return fetched;
  Result<Arrivals> arrivals = Arrivals::make(store);
  if (!arrivals) return std::move(arrivals).error();
  Fetch fetch(store, remote, arrivals->folder());
  if (Result<void> done = fetch.gather(*wanted); !done) return std::move(done).error();
  Result<Transferred> adopted = fetch.adopt();
  if (!adopted) return std::move(adopted).error();
  fetched.transferred = *adopted;
  Result<std::vector<ObjectId>> absent = missing_of(store, manifests);
  if (!absent) return std::move(absent).error();
  fetched.absent = std::move(*absent);
  return fetched;
}

}  // namespace ration::git
