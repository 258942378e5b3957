#pragma once

// Overlap of two corpora: documents of A that share at least L bytes in a row with a document of B.
// What must be empty before a loss on B says anything about a model trained on A.
//
// Exact, by anchors over B (data/filter/anchors.h): about 2 bytes of memory for each byte of B; A
// is read once, a document at a time, whatever its size.

#include <memory>

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

// The same for one text of A at a time.
class HeldOutText {
 public:
  // Errors: those of overlap().
  static Result<HeldOutText> of(const DocumentSource& held_out,
                                std::uint64_t length,
                                const Resources& resources);
  HeldOutText(HeldOutText&&) noexcept;
  HeldOutText& operator=(HeldOutText&&) noexcept;
  ~HeldOutText();

  struct Found {
    std::vector<Span> spans;           // of the text; ascending, apart
    std::optional<std::size_t> other;  // a held-out document that shares the first of them
  };
  // Threads: safe.
  Found find(std::string_view text) const;

  std::size_t documents() const;
  std::uint64_t bytes() const;
  std::uint64_t memory_bytes() const;  // estimate
  // Bytes of held-out text that find() has met so far, in any text. Where a stretch stands more
  // than once in the held-out text, its first place alone may be counted.
  std::uint64_t bytes_met() const;
  std::uint64_t documents_met() const;

 private:
  class Index;
  explicit HeldOutText(std::unique_ptr<Index> index);
  std::unique_ptr<Index> index_;
};

}  // namespace ration::data::filter
