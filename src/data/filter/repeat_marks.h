#pragma once

// Which windows of a corpus are repeats; filled by several threads at once, in any order.

#include <array>
#include <mutex>

#include "data/filter/report.h"
#include "data/filter/texts.h"

namespace ration::data::filter {

class RepeatMarks {
 public:
  // The text must outlive the object.
  RepeatMarks(const WholeText& whole, std::uint64_t window);

  // The same window at these places: two or more, ascending.
  void add(const std::vector<std::uint64_t>& places);
  // Windows at a, a+1, … a+count-1 and the same at b, b+1, …; a < b; they stand nowhere else.
  void add_pair(std::uint64_t a, std::uint64_t b, std::uint64_t count);

  bool fits(std::uint64_t place) const;  // whether a whole window of one document begins there

  // The union of the windows of a document, as bytes of it.
  std::vector<Span> spans(std::size_t document, bool later_copies_alone) const;
  // Where the first of these windows stands too: its first copy, or the second when it is the first
  // itself.
  std::size_t other(std::size_t document, bool later_copies_alone) const {
    return (later_copies_alone ? first_later_ : first_)[document].other;
  }

  std::uint64_t memory_bytes() const;
  static std::uint64_t memory_bytes(std::uint64_t text_bytes, std::size_t documents);

  const WholeText& whole() const { return whole_; }
  std::uint64_t window() const { return window_; }

 private:
  struct First {
    std::uint64_t place = ~std::uint64_t{0};
    std::size_t other = 0;
  };
  void note(std::uint64_t place, std::uint64_t other_place, bool later);

  const WholeText& whole_;
  std::uint64_t window_;
  std::vector<std::uint64_t> repeated_, later_;  // a bit for each byte of the text
  std::vector<First> first_, first_later_;       // one a document
  mutable std::array<std::mutex, 64> mutexes_;   // of these, by document
};

// The two methods. Errors (ErrorKind::resource): memory.
Result<void> mark_by_anchors(RepeatMarks& marks, const Resources& resources, std::uint64_t& memory);
Result<void> mark_by_suffix_array(RepeatMarks& marks,
                                  const Resources& resources,
                                  std::uint64_t& memory);

}  // namespace ration::data::filter
