#include "eval/pairs/continuations.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/random.h"

namespace ration::eval {
namespace {

struct Stretch {
  std::size_t document = 0;
  std::string_view before, after;
};

constexpr std::string_view kBlanks = " \t\r\n";

bool within_character(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80;
}

// Where the word that reaches `bytes` ends; a text without blanks is cut at that character.
std::size_t end_of_word(std::string_view text, std::size_t bytes) {
  if (bytes >= text.size()) return text.size();
  std::size_t end = text.find_first_of(kBlanks, bytes);
  if (end != std::string_view::npos && end - bytes <= 30) return end;
  for (end = bytes; within_character(text, end);) ++end;
  return end;
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

// The next stretch of `rest`, which loses it; nothing where it is too short.
std::optional<Stretch> take_stretch(std::string_view& rest,
                                    std::size_t document,
                                    const ContinuationOptions& options) {
  const auto before = static_cast<std::size_t>(options.document_bytes);
  const auto after = static_cast<std::size_t>(options.choice_bytes);
  rest = without_blanks(rest);
  const std::size_t middle = end_of_word(rest, before);
  const std::string_view tail = without_blanks(rest.substr(middle));
  if (tail.size() < after) return {};
  const std::string_view follows = tail.substr(0, end_of_word(tail, after));
  const Stretch stretch{document, without_blanks(rest.substr(0, middle)), follows};
  rest = tail.substr(follows.size());
  return stretch;
}

std::vector<Stretch> stretches(std::span<const std::string> documents,
                               const ContinuationOptions& options) {
  std::vector<std::string_view> rest(documents.begin(), documents.end());
  std::vector<std::uint32_t> order = permutation(static_cast<std::uint32_t>(documents.size()),
                                                 Stream(options.seed, StreamId::documents));
  std::vector<Stretch> found;
  while (!order.empty() && std::ssize(found) < options.items) {
    std::vector<std::uint32_t> longer;
    for (const std::uint32_t document : order) {
      if (std::ssize(found) == options.items) break;
      const std::optional<Stretch> next = take_stretch(rest[document], document, options);
      if (!next) continue;
      found.push_back(*next);
      longer.push_back(document);
    }
    order = std::move(longer);
  }
  return found;
}

}  // namespace

Result<std::string> continuation_pairs(std::span<const std::string> documents,
                                       const ContinuationOptions& options) {
  const std::vector<Stretch> found = stretches(documents, options);
  const bool several = std::any_of(found.begin(), found.end(), [&](const Stretch& each) {
    return each.document != found.front().document;
  });
  if (!several)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("fewer than two of {} held-out documents have {} bytes",
                            documents.size(),
                            options.document_bytes + options.choice_bytes),
        .hint = "take a smaller --document-bytes, or prepare data with more held-out text"};
  Stream stream(options.seed, StreamId::documents, 1);
  std::string lines;
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::size_t other = i;
    while (found[other].document == found[i].document) other = stream.below(found.size());
    const Json line = {{"id", fmt::format("continuation-{}-{}", options.seed, i)},
                       {"document", std::string(found[i].before)},
                       {"consistent", std::string(found[i].after)},
                       {"inconsistent", std::string(found[other].after)},
                       {"group", "continuation"}};
    lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

}  // namespace ration::eval
