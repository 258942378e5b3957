#include "cli/corpus_drift.h"

#include <fmt/format.h>

#include <map>

#include "data/fetched.h"

namespace ration::cli {
namespace {

// The manifest of the data that a run used; nothing when its folder is gone or holds other data.
std::optional<data::Manifest> manifest_of(const Path& store, const store::Observation& row) {
  const Path file = store::Layout{store}.run(row.run) / "run.json";
  const Result<std::string> text = real_files().read(file);
  if (!text) return std::nullopt;
  const Result<run::RunFile> run = run::parse_run_json(*text, file.string());
  if (!run) return std::nullopt;
  Result<data::Manifest> manifest = data::read_manifest(real_files(), run->execution.data);
  if (!manifest || manifest->digest != row.spec.data_digest) return std::nullopt;
  return *std::move(manifest);
}

}  // namespace

Result<std::string> check_corpus_drift(const Path& store,
                                       std::span<const store::Observation> runs) {
  std::map<std::string, const store::Observation*> by_data;
  for (const store::Observation& row : runs) by_data.emplace(row.spec.data_digest, &row);
  if (by_data.size() < 2) return std::string();
  std::map<std::string, data::FetchedCorpus> seen;
  std::size_t unknown = 0;
  for (const auto& [digest, row] : by_data) {
    const std::optional<data::Manifest> manifest = manifest_of(store, *row);
    if (!manifest) ++unknown;
    if (!manifest) continue;
    for (const data::FetchedCorpus& corpus : data::corpora_of(*manifest)) {
      const auto [first, is_new] = seen.emplace(corpus.name, corpus);
      if (is_new || first->second.sha256 == corpus.sha256) continue;
      return Error{
          .kind = ErrorKind::untrusted,
          .what = fmt::format("the runs used the corpus {} in two versions: {} ({:.16}) and {} "
                              "({:.16})",
                              corpus.name,
                              first->second.version,
                              first->second.sha256,
                              corpus.version,
                              corpus.sha256),
          .hint =
              "fit the runs of one version: name a sweep; or take both with "
              "--allow-corpus-drift"};
    }
  }
  if (seen.empty() || unknown == 0) return std::string();
  return fmt::format(
      "the data of {} of {} digests are not there any more, so their corpora could not be compared",
      unknown,
      by_data.size());
}

}  // namespace ration::cli
