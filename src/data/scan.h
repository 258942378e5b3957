#pragma once

// The first pass over a text folder: what it holds, without keeping any text.

#include "data/prepare.h"
#include "data/split.h"
#include "data/text_folder.h"

namespace ration::data {

struct Corpus {
  std::vector<Document> documents;  // in the order of list_text_files
  std::vector<SkippedFile> skipped;
};

// Errors: those of list_text_files; ErrorKind::input when no file is usable, with the reasons.
Result<Corpus> scan_text(Files& files,
                         const Path& folder,
                         std::int64_t min_document_bytes,
                         const ProgressSink& progress);

// The skipped files by reason, in words.
std::map<std::string, SkippedFiles> by_reason(const std::vector<SkippedFile>& skipped);

}  // namespace ration::data
