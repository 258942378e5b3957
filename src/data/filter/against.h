#pragma once

// Overlap of two corpora: documents of A that share at least L bytes in a row with a document of B.
// What must be empty before a loss on B says anything about a model trained on A.
//
// Exact, by anchors over B (data/filter/anchors.h): about 3 bytes of memory for each byte of B, or
// less in several passes over A, which is read a document at a time, whatever its size.

#include <memory>

#include "data/filter/report.h"
#include "data/filter/texts.h"

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

// The held-out corpus in parts of which each takes at most the memory allowed, to be looked for one
// after the other. Documents are not divided: one that needs more by itself is an error
// (ErrorKind::resource).
Result<std::vector<Part>> parts_of_held_out(const DocumentSource& held_out,
                                            std::uint64_t length,
                                            const Resources& resources);

class HeldOutIndex;

// Brings spans together with more of them; all ascending and apart afterwards.
void add_spans(std::vector<Span>& spans, const std::vector<Span>& more);

// The same for one text of A at a time, and documents [begin, end) of B.
class HeldOutText {
 public:
  // Errors: those of overlap().
  static Result<HeldOutText> of(const DocumentSource& held_out,
                                const Part& part,
                                std::uint64_t length,
                                const Resources& resources);
  HeldOutText(HeldOutText&&) noexcept;
  HeldOutText& operator=(HeldOutText&&) noexcept;
  ~HeldOutText();

  struct Found {
    std::vector<Span> spans;           // of the text; ascending, apart
    std::optional<std::size_t> other;  // a document of B that shares the first of them
  };
  // Threads: safe.
  Found find(std::string_view text) const;

  std::uint64_t memory_bytes() const;  // estimate
  // Bytes of held-out document i that find() has met so far, in any text. Where a stretch stands
  // more than once in the held-out text, its first place alone may be counted.
  std::uint64_t bytes_met(std::size_t document) const;

 private:
  HeldOutText(std::unique_ptr<HeldOutIndex> index, std::size_t first);
  std::unique_ptr<HeldOutIndex> index_;
  std::size_t first_;  // its first document, of B
};

}  // namespace ration::data::filter
