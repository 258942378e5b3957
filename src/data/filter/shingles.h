#pragma once

// A text as a set of overlapping word n-grams ("shingles"), each as a 64-bit hash: what is compared
// when near-duplicates are looked for.
//
// Words are runs of letters, digits and their marks, canonically composed (NFC) and case-folded.
// Han, kana, Thai, Lao, Khmer and Burmese are written without blanks: there, every letter with its
// marks is a word. Bytes that are not UTF-8 count as letters as they are.

#include <cstdint>
#include <string_view>
#include <vector>

namespace ration::data::filter {

// The hash of every word, in the order of the text.
std::vector<std::uint64_t> word_hashes(std::string_view text);

// The hash of every run of `words` words in the order of the text, repeats included. A text with
// fewer words is one shingle; a text without words has none.
std::vector<std::uint64_t> shingles(std::string_view text, int words);

// The same as a set: ascending, each once.
std::vector<std::uint64_t> shingle_set(std::string_view text, int words);

// Jaccard similarity of two sets: common members per member of either, in 0 … 1; 0 when one is
// empty.
double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b);

}  // namespace ration::data::filter
