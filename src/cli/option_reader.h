#pragma once

// Reads options one after the other and keeps what was wrong with each, so that all is told at
// once.
//
//   OptionReader read{arguments};
//   options.delta = read.quantity("delta", "").value_or(options.delta);
//   options.seed = read.whole("seed", 0, kLargestWhole).value_or(0);
//   if (!read.problems.empty()) return combine(std::move(read.problems), "…");

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace ration::cli {

struct OptionReader {
  const Arguments& arguments;
  std::vector<Error> problems = {};

  // Nothing where the option is not given, or is wrong.
  std::optional<double> quantity(std::string_view name, std::string_view unit) {
    return keep(arguments.quantity(name, unit)).value_or(std::nullopt);
  }
  std::optional<std::int64_t> whole(std::string_view name, std::int64_t low, std::int64_t high) {
    return keep(arguments.whole(name, low, high)).value_or(std::nullopt);
  }

  // The value behind a word of an option that takes one of a few.
  template <class T>
  std::optional<T> choice(const std::string& name,
                          const std::vector<std::pair<std::string, T>>& choices) {
    const std::optional<std::string> word = arguments.text(name);
    if (!word) return {};
    std::vector<std::string> words;
    for (const auto& [known, value] : choices) {
      if (known == *word) return value;
      words.push_back(known);
    }
    std::string hint = words.back();
    words.pop_back();
    if (!words.empty()) hint = fmt::format("{} or {}", fmt::join(words, ", "), hint);
    problems.push_back({.kind = ErrorKind::usage,
                        .what = fmt::format("--{}: \"{}\" is none of its words", name, *word),
                        .hint = std::move(hint)});
    return {};
  }

  // One item each time that the option is given.
  template <class Item>
  std::vector<Item> items(std::string_view name, Result<Item> (*parse)(const std::string&)) {
    std::vector<Item> all;
    for (const std::string& text : arguments.all(name))
      if (std::optional<Item> item = keep(parse(text))) all.push_back(std::move(*item));
    return all;
  }

  template <class T>
  std::optional<T> keep(Result<T> value) {
    if (value) return std::move(*value);
    problems.push_back(std::move(value).error());
    return {};
  }
  void refuse(std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  }
};

}  // namespace ration::cli
