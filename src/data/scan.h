#pragma once

// The first pass over a text folder: what it holds, without keeping any text.

#include "data/corpus.h"
#include "data/ordered.h"
#include "data/progress.h"

namespace ration::data {

// `text`: a folder, or one file. Errors: those of list_text_files; ErrorKind::input when no
// document is usable, with the reasons.
Result<Corpus> scan_text(Files& files,
                         const Path& text,
                         const TextRules& rules,
                         const Workforce& workforce,
                         const ProgressSink& progress);

}  // namespace ration::data
