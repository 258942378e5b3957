#include "git/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace ration::git {
namespace {

constexpr int kMostThreads = 1024;

std::optional<int> whole(std::string_view text) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool all = code == std::errc() && end == text.data() + text.size();
  return all ? std::optional(number) : std::nullopt;
}

}  // namespace

std::map<std::string, std::string> read_config(std::string_view output) {
  std::map<std::string, std::string> values;
  while (!output.empty()) {
    const std::string_view entry = output.substr(0, output.find('\0'));
    output.remove_prefix(std::min(output.size(), entry.size() + 1));
    const std::size_t line = entry.find('\n');
    const std::string key(entry.substr(0, line));
    values[key] = line == std::string_view::npos ? "true" : entry.substr(line + 1);
  }
  return values;
}

std::optional<bool> truth_of(std::string_view word) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower == "true" || lower == "yes" || lower == "on") return true;
  if (lower.empty() || lower == "false" || lower == "no" || lower == "off") return false;
  if (const std::optional<int> number = whole(lower)) return *number != 0;
  return std::nullopt;
}

Result<Settings> settings_of(const std::map<std::string, std::string>& config) {
  Settings settings;
  std::vector<Error> problems;
  const auto refuse = [&](const std::string& key, const std::string& value, std::string hint) {
    problems.push_back({.kind = ErrorKind::usage,
                        .what = fmt::format("git's setting {} is \"{}\"", key, value),
                        .hint = std::move(hint)});
  };
  const auto truth = [&](const std::string& key, bool& value) {
    const auto found = config.find(key);
    if (found == config.end()) return;
    if (const std::optional<bool> word = truth_of(found->second))
      value = *word;
    else
      refuse(key, found->second, fmt::format("`git config {} true`, or false", key));
  };
  truth("ration.strict", settings.strict);
  truth("ration.sync", settings.sync);
  if (const auto found = config.find("ration.threads"); found != config.end()) {
    const std::optional<int> number = whole(found->second);
    if (number && *number >= 0 && *number <= kMostThreads)
      settings.threads = *number;
    else
      refuse(found->first, found->second, fmt::format("0 (all cores) to {}", kMostThreads));
  }
  if (const auto found = config.find("ration.merge"); found != config.end())
    settings.merge = found->second;
  if (const auto found = config.find("ration.remote"); found != config.end())
    settings.remote = found->second;
  if (problems.size() == 1) return std::move(problems.front());
  if (!problems.empty()) return combine(std::move(problems), "settings of git cannot be used");
  return settings;
}

}  // namespace ration::git
