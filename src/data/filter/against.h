#pragma once

// Overlap of two corpora: documents of A that share at least L bytes in a row with a document of B.
// What must be empty before a loss on B says anything about a model trained on A.
//
// Exact, by anchors over B (data/filter/anchors.h): about 2 bytes of memory for each byte of B; A
// is read once, a document at a time, whatever its size.

#include "data/filter/report.h"

namespace ration::data::filter {

enum class OverlapAction {
  drop,  // documents of A that share text
  cut,   // the shared text
};

struct AgainstOptions {
  // Bytes of the shortest overlap, 16 … 100000. 100 as for repeats.
  std::uint64_t length = 100;
  // Drop: a document that quotes the held-out text may paraphrase it next to the quotation.
  OverlapAction action = OverlapAction::drop;
};

std::vector<Error> check(const AgainstOptions& options);

// Change::other is a document of `held_out`, Change::value the bytes shared.
Result<FilterReport> overlap(const DocumentSource& source,
                             const DocumentSource& held_out,
                             const AgainstOptions& options,
                             const Resources& resources);

}  // namespace ration::data::filter
