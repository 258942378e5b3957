#pragma once

// Anchors: a sparse choice of places in a text that depends on nothing but the text around them, so
// that equal text has equal anchors (winnowing).
//
// In every window of L bytes, the anchor is the k-gram (k = L/2) with the least hash; of equals,
// the leftmost. Two equal windows thus have an equal anchor at the same place within them:
// comparing anchors misses nothing. About one byte in L/4 begins an anchor.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ration::data::filter {

struct Anchor {
  std::uint64_t hash = 0;      // of the k-gram
  std::uint64_t position = 0;  // where the k-gram begins
  // The windows that have this anchor begin at position - most_lead … position - least_lead.
  std::uint32_t least_lead = 0;
  std::uint32_t most_lead = 0;
};

constexpr std::size_t anchor_bytes(std::size_t window) { return (window + 1) / 2; }

// Calls take(anchor) for the anchors of all windows of `window` bytes (2 …) of a text, ascending.
// Positions count from `offset`.
template <class Take>
void for_each_anchor(std::string_view text,
                     std::size_t window,
                     std::uint64_t offset,
                     const Take& take) {
  if (text.size() < window) return;
  constexpr std::uint64_t kFactor = 0x9FB21C651E98DF25;
  const std::size_t gram = anchor_bytes(window), grams = window - gram + 1;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::uint64_t rolled = 0, top = 1;  // top: the factor of the byte that leaves
  for (std::size_t i = 0; i < gram; ++i) {
    rolled = rolled * kFactor + bytes[i] + 1;
    top *= kFactor;
  }

  // The hashes of the last grams, each written twice, so that a window's lie side by side.
  std::vector<std::uint64_t> recent(2 * grams);
  std::uint64_t least = 0;
  std::size_t least_at = 0;      // where its gram begins
  std::size_t first_window = 0;  // of those that have it as anchor
  const auto emit = [&](std::size_t last_window) {
    take(Anchor{least,
                offset + least_at,
                static_cast<std::uint32_t>(least_at - last_window),
                static_cast<std::uint32_t>(least_at - first_window)});
  };
  std::size_t slot = 0;
  for (std::size_t at = 0; at + gram <= text.size(); ++at) {
    if (at > 0) rolled = rolled * kFactor + bytes[at + gram - 1] + 1 - top * (bytes[at - 1] + 1ULL);
    const std::uint64_t hash = (rolled ^ (rolled >> 32)) * 0xBF58476D1CE4E5B9;
    recent[slot] = recent[slot + grams] = hash;
    slot = slot + 1 == grams ? 0 : slot + 1;
    if (at + 1 < grams) continue;
    const std::size_t begin = at + 1 - grams;  // of the window that ends here
    const bool begins = begin == 0;
    if (!begins && least_at >= begin && hash >= least) continue;
    if (!begins) emit(begin - 1);
    if (begins || least_at < begin) {
      const auto from = recent.begin() + static_cast<std::ptrdiff_t>(slot);
      const auto found = std::min_element(from, from + static_cast<std::ptrdiff_t>(grams));
      least = *found;
      least_at = begin + static_cast<std::size_t>(found - from);
    } else {
      least = hash;
      least_at = at;
    }
    first_window = begin;
  }
  emit(text.size() - window);
}

// Of two equal anchors, how far before them the windows begin that are equal too: the leads from
// `least` to `most`; none where least > most.
struct EqualLeads {
  std::uint64_t least = 1;
  std::uint64_t most = 0;
  bool none() const { return least > most; }
};

// x and y: where the k-grams of a and b lie in memory; the windows of both lie in their texts.
inline EqualLeads equal_windows(
    const Anchor& a, const char* x, const Anchor& b, const char* y, std::uint64_t window) {
  const std::uint64_t least = std::max(a.least_lead, b.least_lead);
  const std::uint64_t most = std::min(a.most_lead, b.most_lead);
  if (least > most) return {};
  std::uint64_t left = 0, right = 0;
  while (left < most &&
         x[-1 - static_cast<std::ptrdiff_t>(left)] == y[-1 - static_cast<std::ptrdiff_t>(left)])
    ++left;
  while (right < window - least && x[right] == y[right]) ++right;
  return {.least = std::max(least, window - right), .most = std::min(most, left)};
}

}  // namespace ration::data::filter
