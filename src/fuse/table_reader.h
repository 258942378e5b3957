#pragma once

// A table of a sweep file, read member by member. Internal to the room.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/text.h"
#include "fuse/words.h"

namespace ration::fuse {

// Reads members of one table, notes which were there, and keeps what was wrong.
class TableReader {
 public:
  using Words = std::vector<std::string>;

  TableReader(const Json& table, std::string prefix, std::vector<Error>& problems)
      : table_(table), prefix_(std::move(prefix)), problems_(problems) {}

  const Json* find(const std::string& key) {
    known_.push_back(key);
    const auto found = table_.find(key);
    return found == table_.end() ? nullptr : &*found;
  }
  void refuse(const std::string& key, const std::string& what, const std::string& hint) {
    problems_.push_back({.kind = ErrorKind::usage,
                         .what = fmt::format("{}{} {}", prefix_, key, what),
                         .hint = hint});
  }
  void number(const std::string& key, double low, double high, double& target) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
      return refuse(key, "is out of range", fmt::format("a number from {:g} to {:g}", low, high));
    target = value->get<double>();
  }
  template <class Whole>
  void whole(const std::string& key, std::int64_t low, std::int64_t high, Whole& target) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const double number = value->is_number() ? value->get<double>() : std::nan("");
    if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
        number != std::floor(number))
      return refuse(key, "is out of range", fmt::format("a whole number, {} to {}", low, high));
    target = static_cast<Whole>(number);
  }
  void flag(const std::string& key, bool& target) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) return refuse(key, "is neither true nor false", "true or false");
    target = value->get<bool>();
  }
  void text(const std::string& key, std::string& target) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_string() || value->get<std::string>().empty())
      return refuse(key, "is no text", "write it in quotes");
    target = value->get<std::string>();
  }
  template <class T>
  void word(const std::string& key, T& target) {
    const Json* value = find(key);
    if (value != nullptr) one_word(key, *value, target);
  }
  template <class T>
  bool one_word(const std::string& key, const Json& value, T& target) {
    const std::optional<T> found =
        value.is_string() ? word_of<T>(value.get<std::string>()) : std::nullopt;
    if (found) return target = *found, true;
    refuse(key, fmt::format("does not take {}", value.dump()), one_of(words<T>()));
    return false;
  }
  void texts(const std::string& key, Words& target) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->is_string()) return target.assign(1, value->get<std::string>()), void();
    if (!value->is_array() ||
        !std::all_of(value->begin(), value->end(), [](const Json& v) { return v.is_string(); }))
      return refuse(key, "is no list of texts", fmt::format("{} = [\"a\", \"b\"]", key));
    target = value->get<Words>();
  }
  // What none of the calls above asked for.
  void refuse_unknown(std::span<const std::string_view> others = {}) {
    for (const auto& [key, value] : table_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end() &&
          std::find(others.begin(), others.end(), key) == others.end())
        refuse(key, "is no key here", nearest_or_all(key, known_));
  }

  static std::string one_of(const Words& words) {
    return fmt::format("one of {}", fmt::join(words, ", "));
  }
  static std::string nearest_or_all(const std::string& word, const Words& words) {
    const std::string near = did_you_mean(word, words);
    return near.empty() ? one_of(words) : near;
  }

 private:
  const Json& table_;
  std::string prefix_;
  std::vector<Error>& problems_;
  Words known_;
};

}  // namespace ration::fuse
