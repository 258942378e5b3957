#pragma once

// What stands around a document before a choice follows.

#include <array>
#include <string>
#include <string_view>

namespace ration::eval {

struct Prompt {
  std::string_view before;
  std::string_view after;

  std::string text(std::string_view document) const {
    return std::string(before).append(document).append(after);
  }
};

// P0: the document alone. P1: The summary of "document" is . P2: Summarize: document.
// Without a document, P0 is the one token that ends documents.
inline constexpr std::array<Prompt, 3> kPrompts = {
    {{"", ""}, {"The summary of \"", "\" is "}, {"Summarize: ", ""}}};

}  // namespace ration::eval
