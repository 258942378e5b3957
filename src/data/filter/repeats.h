#pragma once

// Exact repeats: stretches of at least L bytes that stand more than once in the corpus, within a
// document or in several. A stretch never reaches from one document into the next.
//
// Precisely: the L bytes at a place are repeated when the same L bytes stand at another place; they
// are a later copy when the same L bytes stand at an earlier place. A repeat is the union of such
// windows, so a stretch longer than L is found whole.
//
// Two methods with the same result. Anchors (data/filter/anchors.h): about one byte of memory for
// each byte of text, or less in several passes, and faster. Suffix array (libdivsufsort): the
// classical way; 5 bytes of memory for each byte of text, 9 above 2 GiB.

#include "data/filter/report.h"

namespace ration::data::filter {

enum class RepeatAction {
  drop,   // documents that hold a repeat, its first copy included
  first,  // later copies are cut out, the first stays
  cut,    // all copies are cut out
};

enum class RepeatMethod { anchors, suffix_array };

struct RepeatOptions {
  // Bytes of the shortest repeat, 16 … 100000. 100 is what published corpora use: a sentence or
  // two.
  std::uint64_t length = 100;
  RepeatAction action = RepeatAction::first;
  // Anchors, for they need less of everything.
  RepeatMethod method = RepeatMethod::anchors;
};

std::vector<Error> check(const RepeatOptions& options);

// Spans are cut at the borders of UTF-8 letters, inside the repeat. A document of which nothing but
// white space would be left is dropped.
Result<FilterReport> repeated_substrings(const DocumentSource& source,
                                         const RepeatOptions& options,
                                         const Resources& resources);

// Whether anything but white space is left of a text without these spans (ascending, apart).
bool leaves_text(std::string_view text, const std::vector<Span>& cuts);

// The largest span within `span` that cuts no UTF-8 letter of `text`; in text that is not UTF-8, at
// most three bytes shorter at each end.
Span whole_letters(std::string_view text, Span span);

}  // namespace ration::data::filter
