#include "git/attributes_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::git {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kAttributes = "filter=ration merge=ration diff=ration -text";

// Takes a line with its newline from the front.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line =
      text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
  text.remove_prefix(line.size());
  return line;
}

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

// A pattern in quotes, which may hold blanks; the usual escapes, but not those by number.
std::string take_quoted(std::string_view& line) {
  std::string pattern;
  std::size_t i = 1;
  for (; i < line.size() && line[i] != '"'; ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) ++i;
    pattern += line[i];
  }
  line.remove_prefix(std::min(line.size(), i + 1));
  return pattern;
}

// Takes the pattern from the front of a line; empty for lines that have none.
std::string take_pattern(std::string_view& line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(kBlanks)));
  if (line.empty() || line.front() == '#') return "";
  return line.front() == '"' ? take_quoted(line) : std::string(take_word(line));
}

// The pattern of a line that has this attribute; empty for other lines.
std::string pattern_of(std::string_view line, std::string_view attribute = "filter=ration") {
  std::string pattern = take_pattern(line);
  while (!line.empty())
    if (take_word(line) == attribute) return pattern;
  return "";
}

std::string quoted(const std::string& pattern) {
  const bool plain = pattern.find_first_of(" \t\"\\") == std::string::npos && pattern[0] != '#';
  if (plain) return pattern;
  std::string text = "\"";
  for (const char c : pattern) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string with_blanks(std::string pattern) {
  constexpr std::string_view kBlank = "[[:space:]]";
  for (std::size_t at = pattern.find(kBlank); at != std::string::npos; at = pattern.find(kBlank))
    pattern.replace(at, kBlank.size(), " ");
  return pattern;
}

// A line of git-lfs without its attributes; empty where no other is left.
std::string line_without_lfs(std::string_view line) {
  const std::size_t end = line.size() - (line.ends_with('\n') ? 1 : 0);
  std::string_view rest = line;
  take_pattern(rest);
  std::string text(line.substr(0, end - rest.size()));
  const std::size_t pattern_end = text.size();
  for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest))
    if (word != "filter=lfs" && word != "diff=lfs" && word != "merge=lfs" && word != "-text")
      text += " " + std::string(word);
  return text.size() == pattern_end ? "" : text + "\n";
}

// The pattern as it is written in a .gitattributes of `folder`; empty where it cannot be.
std::string pattern_within(std::string_view folder, std::string_view pattern) {
  const bool anywhere = pattern.starts_with("**/") || pattern.find('/') == std::string::npos;
  if (folder.empty() || anywhere) return std::string(pattern);
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  return pattern.starts_with(folder) ? "/" + std::string(pattern.substr(folder.size())) : "";
}

}  // namespace

std::vector<std::string> tracked_patterns(std::string_view attributes) {
  std::vector<std::string> patterns;
  while (!attributes.empty())
    if (std::string pattern = pattern_of(take_line(attributes)); !pattern.empty())
      patterns.push_back(std::move(pattern));
  return patterns;
}

Result<std::string> with_pattern(std::string_view attributes, const std::string& pattern) {
  const bool usable = !pattern.empty() && pattern.front() != '!' &&
                      pattern.find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos;
  if (!usable)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("\"{}\" is no pattern of .gitattributes", pattern),
                 .hint = "for example '*.safetensors', or models/**"};
  std::string text(attributes);
  const std::vector<std::string> there = tracked_patterns(attributes);
  if (std::find(there.begin(), there.end(), pattern) != there.end()) return text;
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text + fmt::format("{} {}\n", quoted(pattern), kAttributes);
}

std::string without_pattern(std::string_view attributes, const std::string& pattern) {
  std::string text;
  while (!attributes.empty()) {
    const std::string_view line = take_line(attributes);
    if (pattern_of(line) != pattern) text += line;
  }
  return text;
}

std::string without_lfs(std::string_view attributes, const std::string& pattern) {
  std::string text;
  while (!attributes.empty()) {
    const std::string_view line = take_line(attributes);
    const std::string found = pattern_of(line, "filter=lfs");
    text += found.empty() || with_blanks(found) != with_blanks(pattern) ? std::string(line)
                                                                        : line_without_lfs(line);
  }
  return text;
}

Result<std::string> imported_attributes(std::string_view attributes,
                                        std::string_view folder,
                                        const std::vector<std::string>& patterns) {
  std::string text(attributes);
  for (const std::string& pattern : patterns)
    text = without_lfs(text, pattern_within(folder, pattern));
  if (!folder.empty() && text.find("filter") == std::string::npos) return text;
  for (const std::string& pattern : patterns) {
    const std::string here = pattern_within(folder, pattern);
    if (here.empty()) continue;
    Result<std::string> more = with_pattern(text, here);
    if (!more) return more;
    text = std::move(*more);
  }
  return text;
}

}  // namespace ration::git
