#pragma once

// Which documents a preparation writes: those of the text, split, without copies of held-out ones
// and what the filter leaves out.

#include "data/document_table.h"
#include "data/keep.h"
#include "data/progress.h"
#include "data/split.h"

namespace ration::data {

// Documents with what became of them.
struct Chosen {
  Corpus corpus;
  std::vector<Duplicate> duplicates = {};
  Kept kept = {};

  // A file holds several documents, or a filter took part: the manifest alone does not tell where
  // documents come from.
  bool of_records() const;
  // Text of a document without what is cut, in bytes.
  std::uint64_t kept_bytes(std::size_t index) const;
};

// `filter` may be empty. Errors: those of scan_text, split_documents, find_duplicates and the
// filter; input when nothing is left to train on.
Result<Chosen> choose_documents(Files& files,
                                const Path& text,
                                const TextRules& rules,
                                const Workforce& workforce,
                                const SplitRule& split,
                                const DocumentFilter& filter,
                                const Path& scratch,
                                const ProgressSink& progress);

// One record a document, for documents.bin.
std::vector<DocumentOrigin> origins(const Chosen& chosen);

// A sample of what was left out, for people: the first texts of every reason, and of a filter those
// whose names hash lowest, at most 100. A text that changed meanwhile is left out of it.
std::vector<DroppedText> dropped_sample(const TextReader& reader, const Chosen& chosen);

}  // namespace ration::data
