#include "git/import_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mapped_pages.h"
#include "versions/keep.h"

namespace ration::git {
namespace {

using versions::Manifest;

constexpr double kDay = 86400;               // git-lfs may ask a slow server for a large file
constexpr std::size_t kRelatives = 8;        // as many as the filter looks at
constexpr std::uint64_t kLooked = 1U << 22;  // longer blobs are not read to see what they are

Result<void> checked(const Result<Answer>& answer, std::string_view typed) {
  if (!answer) return answer.error();
  if (answer->ok()) return {};
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("`{}` failed: {}", typed, answer->words()),
               .hint = "`git fsck` tells whether the repository is whole"};
}

// Bytes of each blob, in their order.
Result<std::vector<std::uint64_t>> sizes_of(const Repository& repository,
                                            const std::vector<OldContent>& contents) {
  std::string ids;
  for (const OldContent& content : contents) ids += content.blob + "\n";
  Result<std::string> answer = repository.ask({"cat-file", "--batch-check=%(objectsize)"}, ids);
  if (!answer) return std::move(answer).error();
  std::vector<std::uint64_t> sizes;
  const char* at = answer->data();
  const char* const end = at + answer->size();
  while (at < end) {
    std::uint64_t size = 0;
    const auto [next, code] = std::from_chars(at, end, size);
    if (code != std::errc()) break;  // "<id> missing"
    sizes.push_back(size);
    at = next + 1;
  }
  if (sizes.size() == contents.size() || contents.empty()) return sizes;
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("blob {} of {} is not in the repository",
                                   contents[sizes.size()].blob,
                                   contents[sizes.size()].path),
               .hint =
                   "`git fsck` tells what else is missing; a partial clone gets blobs with "
                   "`git fetch --refetch`"};
}

bool is_manifest(std::string_view text) {
  return text.starts_with(versions::kManifestBegin) && versions::parse_manifest(text).has_value();
}

// The SHA-256 of a file, which does not stay in memory.
Result<versions::ObjectId> digest_of(Files& files, const Path& path) {
  Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
  if (!mapped) return std::move(mapped).error();
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  Sha256 hash;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::size_t count = std::min(kPiece, bytes.size() - at);
    hash.update(bytes.subspan(at, count));
    release_pages(**mapped, at, at + count);
  }
  return versions::ObjectId{hash.hex()};
}

void push(std::deque<Manifest>& manifests, const Manifest& manifest) {
  manifests.push_front(manifest);
  if (manifests.size() > kRelatives) manifests.pop_back();
}

}  // namespace

Result<void> classify(Repository& repository, std::vector<OldContent>& contents) {
  const Result<std::vector<std::uint64_t>> sizes = sizes_of(repository, contents);
  if (!sizes) return sizes.error();
  for (std::size_t i = 0; i < contents.size(); ++i) {
    OldContent& content = contents[i];
    content.bytes = (*sizes)[i];
    if (content.bytes == 0) content.kind = OldContent::Kind::manifest;
    if (content.bytes == 0 || content.bytes > kLooked) continue;
    Result<std::optional<std::string>> text = repository.blob(content.blob, kLooked);
    if (!text) return std::move(text).error();
    if (!*text) continue;
    if (const std::optional<LfsPointer> pointer = read_lfs_pointer(**text)) {
      content.kind = OldContent::Kind::pointer;
      content.pointer = *pointer;
      content.bytes = pointer->size;
    } else if (is_manifest(**text)) {
      content.kind = OldContent::Kind::manifest;
    }
  }
  return {};
}

ContentImport::ContentImport(const Repository& repository, Path scratch)
    : repository_(&repository), store_(repository.store()), scratch_(std::move(scratch)) {
  const std::string storage = repository.ask({"config", "--type=path", "lfs.storage"}).value_or("");
  lfs_storage_ = repository.common_dir() / (storage.empty() ? "lfs" : storage);
}

Path ContentImport::lfs_path(const LfsPointer& pointer) const {
  return lfs_storage_ / "objects" / pointer.oid.substr(0, 2) / pointer.oid.substr(2, 2) /
         pointer.oid;
}

// The file of a pointer into scratch_; false where git-lfs cannot get it.
Result<bool> ContentImport::smudge(const LfsPointer& pointer) const {
  if (pointer.extended) return false;
  const std::string text = to_text(pointer);
  Result<Answer> answer =
      call({"env", "GIT_LFS_SKIP_SMUDGE=0", "git", "lfs", "smudge"},
           kDay,
           {.folder = repository_->folder(), .input = text, .output = scratch_});
  if (!answer) return std::move(answer).error();
  return answer->ok() && store_.files().size(scratch_).value_or(0) == pointer.size &&
         store_.files().read_range(scratch_, 0, text.size()).value_or(text) != text;
}

Result<bool> ContentImport::have(const LfsPointer& pointer, bool fetch) {
  const Path path = lfs_path(pointer);
  const bool here = !pointer.extended && store_.files().exists(path) &&
                    store_.files().size(path).value_or(0) == pointer.size;
  return here || !fetch ? Result<bool>(here) : smudge(pointer);
}

Result<Path> ContentImport::file_of(const OldContent& content) {
  if (content.kind == OldContent::Kind::pointer && !content.missing) {
    if (store_.files().exists(lfs_path(content.pointer))) return lfs_path(content.pointer);
    Result<bool> had = smudge(content.pointer);
    if (!had) return std::move(had).error();
    if (*had) return scratch_;
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("git-lfs lost {} meanwhile", content.pointer.oid),
                 .hint = "repeat the command"};
  }
  const std::vector<std::string> words = {"git", "cat-file", "blob", content.blob};
  const Result<Answer> answer =
      call(words, kDay, {.folder = repository_->folder(), .output = scratch_});
  if (Result<void> done = checked(answer, fmt::format("{}", fmt::join(words, " "))); !done)
    return std::move(done).error();
  return scratch_;
}

// Versions of the path before this one, then those that were made last.
std::vector<Manifest> ContentImport::relatives(const std::string& path) const {
  std::vector<Manifest> manifests;
  if (const auto found = by_path_.find(path); found != by_path_.end())
    manifests.assign(found->second.begin(), found->second.end());
  for (const Manifest& manifest : newest_)
    if (manifests.size() < kRelatives &&
        std::find(manifests.begin(), manifests.end(), manifest) == manifests.end())
      manifests.push_back(manifest);
  return manifests;
}

Result<std::optional<std::string>> ContentImport::convert(const OldContent& content) {
  if (content.kind == OldContent::Kind::manifest) return std::optional<std::string>();
  if (content.bytes == 0) return std::optional<std::string>("");
  const Result<Path> file = file_of(content);
  if (!file) return file.error();
  const Result<versions::ObjectId> digest = digest_of(store_.files(), *file);
  if (!digest) return digest.error();
  if (content.kind == OldContent::Kind::pointer && !content.missing &&
      digest->hex != content.pointer.oid)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format(
            "{} of {} is damaged: its SHA-256 is {}", file->string(), content.path, digest->hex),
        .hint = "remove it, and get a good one with `git lfs fetch --all`"};
  fault_point("import-before-keep");
  const std::vector<Manifest> earlier = relatives(content.path);
  Result<versions::Kept> kept = versions::keep(
      store_,
      *file,
      {.earlier = earlier, .file = *digest, .threads = repository_->settings().threads});
  if (!kept) return std::move(kept).error();
  new_objects_ += kept->new_objects;
  new_bytes_ += kept->new_bytes;
  push(by_path_[content.path], kept->manifest);
  push(newest_, kept->manifest);
  return std::optional(to_text(kept->manifest));
}

}  // namespace ration::git
