#include "data/scan.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace ration::data {
namespace {

constexpr std::size_t kExamples = 3;

Error no_usable_text(const Path& folder, const std::vector<SkippedFile>& skipped) {
  std::string reasons;
  for (const auto& [words, files] : by_reason(skipped))
    reasons += fmt::format("{}{} {}", reasons.empty() ? ": " : ", ", files.count, words);
  return {.kind = ErrorKind::input,
          .what = fmt::format("no usable text in {}{}", folder.string(), reasons),
          .hint = "documents are UTF-8 files of at least 200 bytes (--min-bytes), plain or .gz"};
}

}  // namespace

std::map<std::string, SkippedFiles> by_reason(const std::vector<SkippedFile>& skipped) {
  std::map<std::string, SkippedFiles> reasons;
  for (const SkippedFile& file : skipped) {
    SkippedFiles& entry = reasons[std::string(words_of(file.reason))];
    ++entry.count;
    if (entry.examples.size() < kExamples) entry.examples.push_back(file.path);
  }
  return reasons;
}

Result<Corpus> scan_text(Files& files,
                         const Path& folder,
                         std::int64_t min_document_bytes,
                         const ProgressSink& progress) {
  Result<TextFiles> found = list_text_files(folder);
  if (!found) return std::move(found).error();
  Corpus corpus{.documents = {}, .skipped = std::move(found->skipped)};
  for (std::size_t i = 0; i < found->paths.size(); ++i) {
    const std::string& path = found->paths[i];
    const auto text =
        read_text(files, folder / path, static_cast<std::uint64_t>(min_document_bytes));
    if (const auto* reason = std::get_if<SkipReason>(&text)) {
      corpus.skipped.push_back({path, *reason});
    } else {
      const std::string& bytes = std::get<std::string>(text);
      corpus.documents.push_back(
          {.source = {.path = path, .bytes = bytes.size(), .sha256 = sha256_hex(bytes), .use = ""},
           .normalised_digest = sha256_hex(normalised(bytes))});
    }
    if (progress) progress({"reading files", i + 1, found->paths.size()});
  }
  if (corpus.documents.empty()) return no_usable_text(folder, corpus.skipped);
  return corpus;
}

}  // namespace ration::data
