#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "git/hidden_refs.h"
#include "git/lfs_pointer.h"
#include "git/remote.h"

namespace ration::git {
namespace {

using versions::ObjectId;
using versions::ObjectStore;

constexpr double kDay = 86400;  // a server may be slow, and objects are large
constexpr std::size_t kAtOnce = 200;

class LfsServer final : public Remote {
 public:
  LfsServer(const Repository& repository, std::string name, std::string url)
      : repository_(&repository),
        name_(std::move(name)),
        refs_(repository, "lfs", std::move(url)) {}

  std::string place() const override { return refs_.url() + " (git-lfs)"; }

  Result<std::unordered_set<ObjectId>> list() override {
    if (Result<void> done = read(); !done) return std::move(done).error();
    std::unordered_set<ObjectId> ids;
    for (const auto& [id, file] : file_of_) ids.insert(id);
    return ids;
  }

  Result<void> send(const ObjectStore& store,
                    std::span<const ObjectId> ids,
                    const TransferProgress& progress) override {
    for (std::size_t first = 0; first < ids.size(); first += kAtOnce) {
      if (progress) progress(first, ids.size());
      if (Result<void> done =
              send_batch(store, ids.subspan(first, std::min(kAtOnce, ids.size() - first)));
          !done)
        return done;
    }
    return {};
  }

  Result<void> fetch(std::span<const ObjectId> ids, const Path& folder) override {
    if (Result<void> done = read(); !done) return done;
    for (const ObjectId& id : ids) {
      const auto found = file_of_.find(id);
      if (found == file_of_.end()) continue;
      Result<Answer> answer = lfs({"smudge"}, to_text(found->second), folder / id.hex);
      if (!answer) return std::move(answer).error();
      forget(found->second.oid);
    }
    return {};
  }

 private:
  // `git lfs WORD…`; what it prints goes into `output`, unless that is empty.
  Result<Answer> lfs(std::vector<std::string> words,
                     std::string_view input,
                     const Path& output = {}) const {
    const std::string typed = fmt::format("git lfs {}", words.front());
    words.insert(words.begin(), {"git", "lfs"});
    Result<Answer> answer =
        call(words,
             kDay,
             {.folder = repository_->work_tree().value_or(repository_->git_dir()),
              .input = input,
              .output = output});
    if (!answer || answer->ok()) return answer;
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("`{}` failed: {}", typed, answer->words()),
                 .hint =
                     "git-lfs must be installed, and the server must have its storage; or choose "
                     "`git config ration.remote git`"};
  }

  // git-lfs keeps a copy of what passes through it; the store has it already.
  void forget(const std::string& oid) const {
    std::error_code ignored;
    std::filesystem::remove(
        repository_->common_dir() / "lfs" / "objects" / oid.substr(0, 2) / oid.substr(2, 2) / oid,
        ignored);
  }

  Result<void> read() {
    if (known_) return {};
    Result<std::vector<Batch>> batches = refs_.read();
    if (!batches) return std::move(batches).error();
    for (const Batch& batch : *batches)
      for (const BatchLine& line : batch.lines) {
        const std::size_t blank = line.more.find(' ');
        if (blank != 64) continue;
        file_of_.emplace(line.id,
                         LfsPointer{line.more.substr(0, blank),
                                    std::strtoull(line.more.c_str() + blank, nullptr, 10)});
      }
    known_ = true;
    return {};
  }

  Result<void> send_batch(const ObjectStore& store, std::span<const ObjectId> ids) {
    std::vector<std::string> words = {"push", "--object-id", name_};
    std::vector<BatchLine> lines;
    for (const ObjectId& id : ids) {
      Result<std::unique_ptr<MappedFile>> file = store.files().map(store.path_of(id));
      if (!file) return std::move(file).error();
      const std::span<const std::byte> bytes = (*file)->bytes();
      Result<Answer> pointer =
          lfs({"clean"}, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      if (!pointer) return std::move(pointer).error();
      const std::optional<LfsPointer> known = read_lfs_pointer(pointer->out);
      if (!known)
        return Error{.kind = ErrorKind::resource,
                     .what = "`git lfs clean` printed no pointer",
                     .hint = "see `git lfs version`: 2.10 or later is needed"};
      words.push_back(known->oid);
      lines.push_back({id, fmt::format("{} {}", known->oid, known->size)});
    }
    Result<Answer> pushed = lfs(words, {});
    if (!pushed) return std::move(pushed).error();
    for (std::size_t i = 3; i < words.size(); ++i) forget(words[i]);
    Result<Workshop> workshop = Workshop::open(*repository_);
    if (!workshop) return std::move(workshop).error();
    return refs_.publish(*workshop, HiddenRefs::batch_of(std::move(lines)));
  }

  const Repository* repository_;
  std::string name_;
  HiddenRefs refs_;
  bool known_ = false;
  std::unordered_map<ObjectId, LfsPointer> file_of_;
};

}  // namespace

Result<std::unique_ptr<Remote>> lfs_remote(const Repository& repository,
                                           const std::string& name,
                                           const std::string& url) {
  return std::unique_ptr<Remote>(std::make_unique<LfsServer>(repository, name, url));
}

}  // namespace ration::git
