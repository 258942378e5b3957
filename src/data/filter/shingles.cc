#include "data/filter/shingles.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/random.h"

namespace ration::data::filter {

namespace {

std::uint64_t hash_of(std::string_view word) {
  std::uint64_t hash = word.size();
  for (; word.size() > 8; word.remove_prefix(8)) {
    std::uint64_t piece = 0;
    std::memcpy(&piece, word.data(), 8);
    hash = mix(hash ^ piece);
  }
  std::uint64_t piece = 0;
  std::memcpy(&piece, word.data(), word.size());
  return mix(hash ^ piece);
}

// 0: no part of a word; otherwise the lower-case letter or digit. Bytes of other letters:
// themselves.
constexpr std::array<char, 256> word_bytes() {
  std::array<char, 256> table{};
  for (int c = 0; c < 256; ++c) {
    const bool capital = c >= 'A' && c <= 'Z';
    const bool part = capital || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 128;
    table[static_cast<std::size_t>(c)] = static_cast<char>(part ? c + (capital ? 32 : 0) : 0);
  }
  return table;
}
constexpr std::array<char, 256> kWordByte = word_bytes();

// Scripts that put no blanks between words.
bool without_blanks(utf8proc_int32_t c) {
  return (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) ||
         (c >= 0x1780 && c <= 0x17FF) || (c >= 0x3040 && c <= 0x30FF) ||
         (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

bool is_mark(utf8proc_category_t category) {
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

bool is_letter_or_number(utf8proc_category_t category) {
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

// Words of a run that holds bytes of other letters than ASCII's.
void add_words(std::string_view run, std::vector<std::uint64_t>& words) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(run.data()),
      static_cast<utf8proc_ssize_t>(run.size()),
      &mapped,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) {
    words.push_back(hash_of(run));
    return;
  }
  const std::string_view text(reinterpret_cast<const char*>(mapped),
                              static_cast<std::size_t>(size));
  std::size_t begin = 0;  // of the word that is being read
  const auto end_word = [&](std::size_t end, std::size_t next) {
    if (end > begin) words.push_back(hash_of(text.substr(begin, end - begin)));
    begin = next;
  };
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t letter = 0;
    const utf8proc_ssize_t read =
        utf8proc_iterate(mapped + at, static_cast<utf8proc_ssize_t>(text.size() - at), &letter);
    const std::size_t next = at + static_cast<std::size_t>(std::max<utf8proc_ssize_t>(read, 1));
    const utf8proc_category_t category = utf8proc_category(letter);
    const bool starts = is_letter_or_number(category);
    if (!starts && !(is_mark(category) && at > begin))
      end_word(at, next);
    else if (starts && without_blanks(letter))
      end_word(at, at);
    at = next;
  }
  end_word(text.size(), text.size());
}

constexpr std::uint64_t kShingleFactor = 0xD6E8FEB86659FD93;

}  // namespace

std::vector<std::uint64_t> word_hashes(std::string_view text) {
  std::vector<std::uint64_t> words;
  words.reserve(text.size() / 6 + 1);
  std::array<char, 64> lower{};
  std::string long_word;
  for (std::size_t at = 0; at < text.size();) {
    if (kWordByte[static_cast<unsigned char>(text[at])] == 0) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    unsigned char seen = 0;
    for (; at < text.size(); ++at) {
      const char byte = kWordByte[static_cast<unsigned char>(text[at])];
      if (byte == 0) break;
      seen |= static_cast<unsigned char>(byte);
      if (at - begin < lower.size()) lower[at - begin] = byte;
    }
    const std::string_view run = text.substr(begin, at - begin);
    if (seen >= 128) {
      add_words(run, words);
    } else if (run.size() <= lower.size()) {
      words.push_back(hash_of({lower.data(), run.size()}));
    } else {
      long_word.assign(run);
      for (char& c : long_word) c = kWordByte[static_cast<unsigned char>(c)];
      words.push_back(hash_of(long_word));
    }
  }
  return words;
}

// A polynomial of the words' hashes, rolled from one shingle to the next.
std::vector<std::uint64_t> shingles(std::string_view text, int words) {
  std::vector<std::uint64_t> out = word_hashes(text);
  if (out.empty()) return out;
  const std::size_t n = std::min(out.size(), static_cast<std::size_t>(words));
  std::uint64_t top = 1;  // the factor of the word that leaves
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    sum = sum * kShingleFactor + out[i];
    top *= kShingleFactor;
  }
  const std::size_t count = out.size() - n + 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t leaving = out[i];
    out[i] = mix(sum);
    if (i + n < out.size()) sum = sum * kShingleFactor + out[i + n] - top * leaving;
  }
  out.resize(count);
  return out;
}

std::vector<std::uint64_t> shingle_set(std::string_view text, int words) {
  std::vector<std::uint64_t> set = shingles(text, words);
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  return set;
}

double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  if (a.empty() || b.empty()) return 0;
  std::size_t common = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    common += a[i] == b[j];
    const bool step_a = a[i] <= b[j], step_b = b[j] <= a[i];
    i += step_a;
    j += step_b;
  }
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

}  // namespace ration::data::filter
