#pragma once

// Texts of which it is known what they share.

#include <cstdint>
#include <string>
#include <vector>

namespace ration::test {

// Words of four letters, drawn from 20,000: texts of different seeds share no five words in a row
// but by rare chance.
std::vector<std::string> drawn_words(std::uint64_t seed, std::size_t count);

// With single blanks between.
std::string joined(const std::vector<std::string>& words);

// The words with `edits` of them, far apart, replaced by others.
std::vector<std::string> edited(std::vector<std::string> words,
                                std::uint64_t seed,
                                std::size_t edits);

// `bytes` letters out of the first `alphabet` ones.
std::string random_letters(std::uint64_t seed, std::size_t bytes, std::uint64_t alphabet);

}  // namespace ration::test
