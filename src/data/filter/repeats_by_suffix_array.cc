#include <divsufsort.h>
#include <divsufsort64.h>

#include <cstring>

#include "data/filter/repeat_marks.h"

namespace ration::data::filter {

namespace {

int sort_suffixes(std::string_view text, std::vector<saidx_t>& order) {
  return divsufsort(reinterpret_cast<const sauchar_t*>(text.data()),
                    order.data(),
                    static_cast<saidx_t>(text.size()));
}
int sort_suffixes(std::string_view text, std::vector<saidx64_t>& order) {
  return divsufsort64(reinterpret_cast<const sauchar_t*>(text.data()),
                      order.data(),
                      static_cast<saidx64_t>(text.size()));
}

// Suffixes that begin with the same window lie side by side, so neighbours are compared as they
// come by: no array of common prefixes is needed. The text that will be needed is asked for ahead.
template <class Index>
Result<void> mark(RepeatMarks& marks, int threads) {
  const std::string_view text = marks.whole().text();
  const std::uint64_t window = marks.window();
  if (text.size() < window) return {};
  std::vector<Index> order(text.size());
  if (sort_suffixes(text, order) != 0)
    return Error{ErrorKind::resource,
                 "the suffix array could not be sorted: memory is short",
                 "use the method anchors, or a machine with more memory"};
  const auto same_as_before = [&](std::size_t i) {
    const auto a = static_cast<std::uint64_t>(order[i - 1]);
    const auto b = static_cast<std::uint64_t>(order[i]);
    return std::max(a, b) + window <= text.size() &&
           std::memcmp(text.data() + a, text.data() + b, window) == 0;
  };
  const std::size_t blocks = order.size() / (std::size_t{1} << 20) + 1;
  parallel_for(blocks, threads, [&](std::size_t block) {
    // A run belongs to the block in which it begins.
    std::size_t i = order.size() * block / blocks;
    const std::size_t end = order.size() * (block + 1) / blocks;
    while (i > 0 && i < end && same_as_before(i)) ++i;
    std::vector<std::uint64_t> places;
    while (i < end) {
      std::size_t next = i + 1;
      for (; next < order.size() && same_as_before(next); ++next)
        if (next + 32 < order.size()) __builtin_prefetch(text.data() + order[next + 32]);
      if (next + 32 < order.size()) __builtin_prefetch(text.data() + order[next + 32]);
      if (next - i > 1) {
        places.clear();
        for (std::size_t k = i; k < next; ++k)
          if (marks.fits(static_cast<std::uint64_t>(order[k])))
            places.push_back(static_cast<std::uint64_t>(order[k]));
        std::sort(places.begin(), places.end());
        if (places.size() > 1) marks.add(places);
      }
      i = next;
    }
  });
  return {};
}

}  // namespace

Result<void> mark_by_suffix_array(RepeatMarks& marks,
                                  const Resources& resources,
                                  std::uint64_t& memory) {
  const std::uint64_t bytes = marks.whole().text().size();
  const bool wide = bytes > std::uint64_t{0x7FFF0000};
  memory = marks.whole().memory_bytes() + marks.memory_bytes() + bytes * (wide ? 8 : 4);
  if (memory > resources.memory_bytes)
    return needs_memory("the suffix array", memory, resources.memory_bytes);
  return wide ? mark<saidx64_t>(marks, resources.threads) : mark<saidx_t>(marks, resources.threads);
}

}  // namespace ration::data::filter
