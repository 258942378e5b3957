#include "eval/pairs/verbatim.h"

#include <algorithm>

namespace ration::eval {
namespace {

constexpr std::string_view kOpen = "<t>", kClose = "</t>";

// Bytes of a blank or punctuation mark beyond ASCII that begins at `at`; 0 = there is none. U+00A0,
// the blank that keeps words together, and U+2000 to U+206F: blanks, dashes, curly quotes, dots.
std::size_t wide_blank(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  if (byte(0) == 0xC2 && byte(1) == 0xA0) return 2;
  const bool general = byte(0) == 0xE2 && ((byte(1) == 0x80 && byte(2) >= 0x80) ||
                                           (byte(1) == 0x81 && byte(2) >= 0x80 && byte(2) <= 0xAF));
  return general ? 3 : 0;
}

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z');
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool ends_sentence(std::string_view text, std::size_t at) {
  const char c = text[at];
  if (c == '\n') return true;
  if (c != '.' && c != '!' && c != '?') return false;
  return at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n';
}

void keep(std::vector<std::string>& found, std::string_view sentence) {
  if (std::string plain = normalised(sentence); !plain.empty()) found.push_back(std::move(plain));
}

}  // namespace

std::string normalised(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const std::string_view tag : {kOpen, kClose})
      if (text.substr(i).starts_with(tag)) i += tag.size() - 1;
    const std::size_t blank = wide_blank(text, i);
    if (blank > 0) i += blank - 1;
    if (blank == 0 && is_word(text[i]))
      plain += lower(text[i]);
    else if (!plain.empty() && plain.back() != ' ')
      plain += ' ';
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

std::vector<std::string> sentences(std::string_view text) {
  std::vector<std::string> found;
  if (text.find(kOpen) != std::string_view::npos) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(kClose), text.size());
      keep(found, text.substr(0, end));
      text.remove_prefix(std::min(text.size(), end + kClose.size()));
    }
    return found;
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (ends_sentence(text, i)) keep(found, text.substr(begin, i + 1 - begin)), begin = i + 1;
  keep(found, text.substr(begin));
  return found;
}

bool copied(std::string_view summary, std::string_view document) {
  const std::string within = " " + normalised(document) + " ";
  const std::vector<std::string> parts = sentences(summary);
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
    return within.find(" " + part + " ") != std::string::npos;
  });
}

}  // namespace ration::eval
