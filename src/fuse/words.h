#pragma once

// The words that stand for enumerators in files and sweeps. Internal to the room.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuse/fuse.h"

namespace ration::fuse {

template <class T>
using WordList = std::vector<std::pair<T, const char*>>;

template <class T>
const WordList<T>& list_of();

template <>
const WordList<Mode>& list_of<Mode>();
template <>
const WordList<Weighting>& list_of<Weighting>();
template <>
const WordList<Stall>& list_of<Stall>();
template <>
const WordList<Late>& list_of<Late>();
template <>
const WordList<Check>& list_of<Check>();
template <>
const WordList<Fault::Kind>& list_of<Fault::Kind>();
template <>
const WordList<Verdict>& list_of<Verdict>();
template <>
const WordList<RoundStatus>& list_of<RoundStatus>();

template <class T>
const char* word(T value) {
  for (const auto& [each, text] : list_of<T>())
    if (each == value) return text;
  return "";
}

template <class T>
std::optional<T> word_of(std::string_view text) {
  for (const auto& [each, known] : list_of<T>())
    if (text == known) return each;
  return std::nullopt;
}

template <class T>
std::vector<std::string> words() {
  std::vector<std::string> all;
  for (const auto& [each, text] : list_of<T>()) all.emplace_back(text);
  return all;
}

}  // namespace ration::fuse
