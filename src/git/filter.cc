#include "git/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/fault.h"
#include "base/parallel.h"
#include "base/text.h"
#include "base/unsynced_files.h"
#include "git/recent.h"
#include "versions/hold.h"
#include "versions/keep.h"

namespace ration::git {
namespace {

using versions::Manifest;
using versions::ObjectId;

// Where the attributes of a file say that it is text, git gives its lines other ends on their way
// into the work tree, before the filter sees them.
constexpr std::string_view kConvertedBegin = "ration-checkpoint 1\r\n";

bool begins_as_manifest(const Spool& content) {
  return (content.head().starts_with(versions::kManifestBegin) ||
          content.head().starts_with(kConvertedBegin)) &&
         content.size() <= versions::kLongestManifest;
}

// The manifest that the content is; nothing for other content.
Result<std::optional<Manifest>> manifest_in(const Spool& content) {
  if (!begins_as_manifest(content)) return std::optional<Manifest>();
  Result<std::string> text = content.text();
  if (!text) return std::move(text).error();
  // A manifest has none of its own: names are percent-encoded.
  if (text->starts_with(kConvertedBegin)) std::erase(*text, '\r');
  Result<Manifest> manifest = versions::parse_manifest(*text);
  return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
}

}  // namespace

RationFilter::RationFilter(Repository& repository, const cli::Console& console, FetchMissing fetch)
    : repository_(repository),
      console_(console),
      store_(repository.store()),
      fetch_(std::move(fetch)) {}

RationFilter::~RationFilter() {
  if (warned_ > 1)
    console_.print_error(fmt::format("warning: and of {} more, whose manifests were written too\n",
                                     counted(warned_ - 1, "file")));
}

// The versions of the file in HEAD and in the index.
std::vector<Manifest> RationFilter::committed(const std::string& path) {
  std::vector<Manifest> manifests;
  for (const char* where : {"HEAD:", ":0:"}) {
    // A git that cannot be asked costs bytes only.
    const Result<std::optional<std::string>> text =
        repository_.blob(where + path, versions::kLongestManifest, versions::kManifestBegin);
    if (!text || !*text) continue;
    Result<Manifest> manifest = versions::parse_manifest(**text);
    if (manifest && std::find(manifests.begin(), manifests.end(), *manifest) == manifests.end())
      manifests.push_back(std::move(*manifest));
  }
  return manifests;
}

// Whether everything is there and undamaged, parents included. What is, counts as used just now, so
// that no collection takes it before git knows the manifest.
bool RationFilter::is_stored(const Manifest& manifest) const {
  const Result<versions::Hold> hold = versions::Hold::to_add(store_.files(), store_.folder());
  if (!hold) return false;
  const std::vector<ObjectId> ids = versions::objects_of(manifest);
  std::atomic<bool> all = true;
  parallel_for(ids.size(), repository_.settings().threads, [&](std::size_t i) {
    if (all && !store_.use(ids[i])) all = false;
  });
  return all;
}

Result<std::string> RationFilter::clean(const std::string& path, Spool& content) {
  Result<std::optional<Manifest>> itself = manifest_in(content);
  if (!itself) return std::move(itself).error();
  if (*itself) return versions::to_text(**itself);
  if (content.size() == 0) return std::string();
  if (begins_as_manifest(content))
    console_.print_error(fmt::format(
        "warning: {} begins like a manifest but is none; its bytes are kept as they are\n", path));

  Result<ObjectId> hashed = content.digest();
  if (!hashed) return std::move(hashed).error();
  const ObjectId digest = std::move(*hashed);
  std::vector<Manifest> earlier = committed(path);
  const auto known = [&](const Manifest& manifest) {
    return manifest.file == digest && manifest.size == content.size() && is_stored(manifest);
  };
  for (const Manifest& manifest : earlier)
    if (known(manifest)) return versions::to_text(manifest);
  for (Manifest& manifest : recent_manifests(unsynced_files(), store_.folder())) {
    if (known(manifest)) return versions::to_text(manifest);
    earlier.push_back(std::move(manifest));
  }

  Result<Path> file = content.path();
  if (!file) return std::move(file).error();
  fault_point("clean-before-keep");
  Result<versions::Kept> kept = versions::keep(
      store_,
      *file,
      {.earlier = earlier, .file = digest, .threads = repository_.settings().threads});
  if (!kept) return std::move(kept).error();
  fault_point("clean-after-keep");
  remember(unsynced_files(), store_.folder(), kept->manifest);
  fault_point("clean-after-remember");
  return versions::to_text(kept->manifest);
}

void RationFilter::warn(const std::string& path, std::size_t missing) {
  if (warned_++ > 0) return;
  console_.print_error(
      fmt::format("warning: {} of {} {} not here; its manifest was written instead\n"
                  "help: `git ration fetch` gets objects from the remote\n",
                  counted(missing, "object"),
                  path,
                  missing == 1 ? "is" : "are"));
}

Result<void> RationFilter::give(const std::string& path,
                                const Manifest& manifest,
                                const versions::ByteSink& sink) {
  Result<std::vector<ObjectId>> missing = versions::missing_objects(store_, manifest);
  if (missing && !missing->empty() && fetch_) {
    if (Result<void> done = fetch_(std::span(&manifest, 1)); !done)
      console_.print_error("warning: " + done.error().describe());
    missing = versions::missing_objects(store_, manifest);
  }
  if (!missing) return std::move(missing).error();
  if (!missing->empty() && !repository_.settings().strict) {
    warn(path, missing->size());
    const std::string text = versions::to_text(manifest);
    return sink(std::as_bytes(std::span(text)));
  }
  return versions::restore(store_, manifest, sink, repository_.settings().threads);
}

Result<void> RationFilter::smudge(const std::string& path,
                                  const Spool& content,
                                  const versions::ByteSink& sink) {
  if (const auto found = arrived_.find(path); found != arrived_.end() && content.size() == 0) {
    const Manifest manifest = std::move(found->second);
    arrived_.erase(found);
    return give(path, manifest, sink);
  }
  Result<std::optional<Manifest>> manifest = manifest_in(content);
  if (!manifest) return std::move(manifest).error();
  return *manifest ? give(path, **manifest, sink) : content.read(sink);
}

bool RationFilter::delay(const std::string& path, const Spool& content) {
  Result<std::optional<Manifest>> manifest = manifest_in(content);
  if (!manifest || !*manifest) return false;
  const Result<std::vector<ObjectId>> missing = versions::missing_objects(store_, **manifest);
  if (!missing || missing->empty()) return false;
  delayed_.insert_or_assign(path, std::move(**manifest));
  return true;
}

std::vector<std::string> RationFilter::available() {
  std::vector<std::string> paths;
  std::vector<Manifest> manifests;
  for (const auto& [path, manifest] : delayed_) {
    paths.push_back(path);
    manifests.push_back(manifest);
  }
  if (!manifests.empty())
    if (Result<void> done = fetch_(manifests); !done)
      console_.print_error("warning: " + done.error().describe());
  arrived_.merge(delayed_);
  delayed_.clear();
  return paths;
}

}  // namespace ration::git
