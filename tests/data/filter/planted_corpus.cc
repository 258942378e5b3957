#include "data/filter/planted_corpus.h"

#include "base/random.h"

namespace ration::test {

namespace {

std::string word_of(std::uint64_t number) {
  std::string word;
  for (int i = 0; i < 4; ++i, number /= 26) word += static_cast<char>('a' + number % 26);
  return word;
}

}  // namespace

std::vector<std::string> drawn_words(std::uint64_t seed, std::size_t count) {
  Stream stream(seed, StreamId::bootstrap, 2);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < count; ++i) words.push_back(word_of(stream.below(20'000)));
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> edited(std::vector<std::string> words,
                                std::uint64_t seed,
                                std::size_t edits) {
  Stream stream(seed, StreamId::bootstrap, 3);
  for (std::size_t i = 0; i < edits; ++i) {
    const std::size_t begin = words.size() * i / edits, end = words.size() * (i + 1) / edits;
    words[begin + stream.below(end - begin)] = word_of(20'000 + stream.below(20'000));
  }
  return words;
}

std::string random_letters(std::uint64_t seed, std::size_t bytes, std::uint64_t alphabet) {
  Stream stream(seed, StreamId::bootstrap, 4);
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>('a' + stream.below(alphabet));
  return text;
}

}  // namespace ration::test
