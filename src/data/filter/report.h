#pragma once

// What a filter did: which documents it drops or cuts and why, how much is left, and the record
// from which the step can be repeated.

#include <limits>
#include <optional>
#include <vector>

#include "base/json.h"
#include "data/filter/source.h"

namespace ration::data::filter {

enum class Verdict { drop, cut };

// One document that does not stay as it is.
struct Change {
  std::size_t document = 0;
  Verdict verdict = Verdict::drop;
  // The document that made it superfluous: its first copy, or the held-out one that it shares text
  // with (a number of the other corpus there).
  std::optional<std::size_t> other = {};
  // Similarity to `other` in 0 … 1 (near), bytes in common (repeats, against), perplexity.
  double value = std::numeric_limits<double>::quiet_NaN();
  std::vector<Span> cuts = {};  // of Verdict::cut: ascending, apart, not empty
};

struct FilterReport {
  std::vector<Change> changes;  // ascending by document; all others stay as they are
  std::vector<double> scores;   // perplexity of each document; empty for other filters
  std::uint64_t documents_before = 0;
  std::uint64_t documents_after = 0;
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
  std::uint64_t peak_memory_bytes = 0;  // estimate of what the step held at once, without buffers
  Json record = Json::object();   // name, all options, version of the rules, digests of references
  Json figures = Json::object();  // counts that the filter alone knows

  // "near: 1,204 of 10,000 documents dropped, 3 cut; 51.2 MB of 60.1 MB left"
  std::string one_line() const;
};

// Resources of a step; none of them changes its result.
struct Resources {
  int threads = 0;  // 0: one for each core
  // Bytes that a step may hold at once, 16 MiB … . A step that can do with less by working longer
  // does; one that cannot says what it needs (ErrorKind::resource).
  std::uint64_t memory_bytes = std::uint64_t{4} << 30;
  Path scratch = {};  // an existing folder for files that a step removes again; none is fine while
                      // all fits into memory
};

// Fills in the counts of a report from its changes.
void count_changes(const DocumentSource& source, FilterReport& report);

// Error of a step that cannot do with the memory allowed.
Error needs_memory(const std::string& step, std::uint64_t needed, std::uint64_t allowed);

}  // namespace ration::data::filter
