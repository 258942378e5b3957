#pragma once

// Whether a summary was copied from its document.

#include <string>
#include <string_view>
#include <vector>

namespace ration::eval {

// Letters and digits in lower case (of ASCII; other bytes as they are), one blank between words,
// no tags, no punctuation: that of ASCII, U+00A0 and U+2000 to U+206F.
std::string normalised(std::string_view text);

// A text's sentences: what <t> … </t> encloses where there are tags, else what . ! ? end before a
// blank. Those without a letter or digit are left out.
std::vector<std::string> sentences(std::string_view text);

// All sentences of `summary` stand in the document as whole words, normalised.
bool copied(std::string_view summary, std::string_view document);

}  // namespace ration::eval
