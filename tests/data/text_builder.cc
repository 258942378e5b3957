#include "data/text_builder.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "base/random.h"

namespace ration::test {
namespace {

std::vector<std::string> invented_words() {
  Stream letters(7, StreamId::bootstrap);
  std::vector<std::string> words(300);
  for (std::string& word : words)
    for (std::uint64_t i = 0, length = 2 + letters.below(7); i < length; ++i)
      word += static_cast<char>('a' + letters.below(i % 2 == 0 ? 20 : 8));
  return words;
}

}  // namespace

std::string invented_text(std::uint64_t seed, std::size_t bytes) {
  const std::vector<std::string> words = invented_words();
  Stream choice(seed, StreamId::bootstrap, 1);
  std::string text;
  while (text.size() < bytes) {
    for (std::uint64_t i = 0, count = 3 + choice.below(10); i < count; ++i) {
      // The lesser of two draws: some words are common, some rare, as in any language.
      const std::uint64_t word = std::min(choice.below(300), choice.below(300));
      text += (i > 0 ? " " : "") + words[word];
    }
    text += ".\n";
  }
  return text;
}

void write_text(const Path& folder, const std::string& path, std::string_view text) {
  std::filesystem::create_directories((folder / path).parent_path());
  std::ofstream file(folder / path, std::ios::binary);  // not synced: tests write many
  if (!(file << text).flush()) throw std::runtime_error("cannot write the test's text");
}

void write_documents(const Path& folder, int count) {
  for (int i = 0; i < count; ++i)
    write_text(
        folder, fmt::format("doc-{}.txt", i), invented_text(static_cast<std::uint64_t>(i), 600));
}

}  // namespace ration::test
