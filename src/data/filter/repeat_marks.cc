#include "data/filter/repeat_marks.h"

#include <bit>

namespace ration::data::filter {

namespace {

void set_bits(std::vector<std::uint64_t>& bits, std::uint64_t begin, std::uint64_t count) {
  for (std::uint64_t at = begin, end = begin + count; at < end;) {
    const std::uint64_t bit = at % 64, here = std::min(64 - bit, end - at);
    const std::uint64_t ones = here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
    std::atomic_ref(bits[at / 64]).fetch_or(ones << bit, std::memory_order_relaxed);
    at += here;
  }
}

// Whether the bit before `at` is set, as far as this thread can know yet.
bool bit_before(std::vector<std::uint64_t>& bits, std::uint64_t at) {
  if (at == 0) return false;
  const std::uint64_t word = std::atomic_ref(bits[(at - 1) / 64]).load(std::memory_order_relaxed);
  return (word >> ((at - 1) % 64) & 1) != 0;
}

// The first set bit at `at` or behind it, below `end`; `end` when there is none.
std::uint64_t next_bit(const std::vector<std::uint64_t>& bits,
                       std::uint64_t at,
                       std::uint64_t end) {
  while (at < end) {
    const std::uint64_t word = bits[at / 64] >> (at % 64);
    if (word != 0) return std::min(end, at + static_cast<std::uint64_t>(std::countr_zero(word)));
    at = (at / 64 + 1) * 64;
  }
  return end;
}

}  // namespace

RepeatMarks::RepeatMarks(const WholeText& whole, std::uint64_t window)
    : whole_(whole),
      window_(window),
      repeated_(whole.text().size() / 64 + 1),
      later_(whole.text().size() / 64 + 1),
      first_(whole.documents()),
      first_later_(whole.documents()) {}

void RepeatMarks::note(std::uint64_t place, std::uint64_t other_place, bool later) {
  // A window that begins a byte before lies in the same document: this is not its first.
  if (bit_before(later ? later_ : repeated_, place)) return;
  const std::size_t document = whole_.document_at(place);
  const std::scoped_lock lock(mutexes_[document % mutexes_.size()]);
  for (First* first : {&first_[document], later ? &first_later_[document] : nullptr})
    if (first != nullptr && place < first->place) *first = {place, whole_.document_at(other_place)};
}

void RepeatMarks::add(const std::vector<std::uint64_t>& places) {
  for (const std::uint64_t place : places) {
    set_bits(repeated_, place, 1);
    const bool later = place != places.front();
    if (later) set_bits(later_, place, 1);
    note(place, later ? places.front() : places[1], later);
  }
}

void RepeatMarks::add_pair(std::uint64_t a, std::uint64_t b, std::uint64_t count) {
  set_bits(repeated_, a, count);
  set_bits(repeated_, b, count);
  set_bits(later_, b, count);
  note(a, b, false);
  note(b, a, true);
}

bool RepeatMarks::fits(std::uint64_t place) const {
  return place + window_ <= whole_.end(whole_.document_at(place));
}

std::vector<Span> RepeatMarks::spans(std::size_t document, bool later_copies_alone) const {
  const std::vector<std::uint64_t>& bits = later_copies_alone ? later_ : repeated_;
  const std::uint64_t start = whole_.start(document), end = whole_.end(document);
  std::vector<Span> out;
  for (std::uint64_t at = next_bit(bits, start, end); at < end; at = next_bit(bits, at + 1, end)) {
    const Span span{at - start, at - start + window_};
    if (!out.empty() && span.begin <= out.back().end)
      out.back().end = span.end;
    else
      out.push_back(span);
  }
  return out;
}

std::uint64_t RepeatMarks::memory_bytes(std::uint64_t text_bytes, std::size_t documents) {
  return text_bytes / 4 + documents * 2 * sizeof(First);
}

std::uint64_t RepeatMarks::memory_bytes() const {
  return memory_bytes(whole_.text().size(), first_.size());
}

}  // namespace ration::data::filter
