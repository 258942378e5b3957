#pragma once

// Exact duplicates: documents whose normalised texts (data/text_folder.h: runs of white space are
// one blank) are equal. The one with the lowest number stays.
//
// Equal means an equal SHA-256 of which 128 bits are kept: 16 bytes of memory a document.

#include "data/filter/report.h"

namespace ration::data::filter {

Result<FilterReport> exact_duplicates(const DocumentSource& source, const Resources& resources);

}  // namespace ration::data::filter
