#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace ration::cli {

// The value behind a word of an option that takes one of a few.
template <class T>
Result<T> choice(const Arguments& arguments,
                 const std::string& option,
                 const std::vector<std::pair<std::string, T>>& choices) {
  const std::string word = arguments.text(option).value_or("");
  std::vector<std::string> words;
  for (const auto& [name, value] : choices) {
    if (name == word) return value;
    words.push_back(name);
  }
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--{}: \"{}\" is none of its words", option, word),
               .hint = fmt::format("{}", fmt::join(words, " or "))};
}

}  // namespace ration::cli
