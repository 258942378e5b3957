#include "cli/region_point_checks.h"

#include <fmt/format.h>

#include "base/files.h"
#include "cli/store_option.h"
#include "data/manifest.h"
#include "run/architecture.h"

namespace ration::cli {

Result<std::vector<run::RunFile>> files_of(const store::Reader& store,
                                           const std::vector<std::string>& runs) {
  std::vector<run::RunFile> found;
  std::vector<Error> problems;
  for (const std::string& id : runs) {
    Result<run::RunFile> file = run::RunFolder(real_files(), store.layout().run(id)).read_spec();
    if (!file) return std::move(file).error();
    found.push_back(std::move(*file));
    const std::string other = run::architecture_differences(found.front().spec, found.back().spec);
    if (!other.empty())
      problems.push_back({.kind = ErrorKind::input,
                          .what = fmt::format("runs {} and {} are models of two kinds: {}",
                                              short_id(runs.front()),
                                              short_id(id),
                                              other),
                          .hint = "name runs of the same model settings"});
  }
  if (problems.size() == 1) return std::move(problems.front());
  if (!problems.empty()) return combine(std::move(problems), "runs that cannot be taken");
  return found;
}

Result<void> check_tokenizers(const std::vector<run::RunFile>& runs,
                              const std::vector<run::PointCorpus>& corpora) {
  std::vector<Error> problems;
  for (const run::PointCorpus& corpus : corpora) {
    const Result<data::Manifest> text = data::read_manifest(real_files(), corpus.data);
    if (!text) return text.error();
    for (const run::RunFile& run : runs) {
      const Result<data::Manifest> own = data::read_manifest(real_files(), run.execution.data);
      const bool same = own ? own->tokenizer_sha256 == text->tokenizer_sha256 &&
                                  own->vocab == text->vocab && own->end_token == text->end_token
                            : run.spec.vocab == text->vocab;
      if (same) continue;
      problems.push_back(
          {.kind = ErrorKind::input,
           .what =
               fmt::format("{} was prepared with another tokenizer than the data of run {}{}",
                           corpus.data,
                           short_id(run.id),
                           own ? fmt::format(" ({} and {})", text->tokenizer, own->tokenizer) : ""),
           .hint =
               "prepare that text with the runs' tokenizer (`ration data prepare --tokenizer`)"});
      break;
    }
  }
  if (problems.empty()) return {};
  if (problems.size() == 1) return std::move(problems.front());
  return combine(std::move(problems), "the held-out text cannot be used");
}

}  // namespace ration::cli
