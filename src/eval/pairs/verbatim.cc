#include "eval/pairs/verbatim.h"

#include <algorithm>

namespace ration::eval {
namespace {

constexpr std::string_view kOpen = "<t>", kClose = "</t>";

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
    if (is_word(text[i]))
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
