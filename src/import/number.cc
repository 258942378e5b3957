#include "import/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace ration::import {
namespace {

const std::vector<std::string>& field_names() {
  static const std::vector<std::string> names = {"params", "tokens", "unique", "epochs"};
  return names;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return small;
}

// The power of ten that a word says, or 0.
int exponent_of(std::string_view word) {
  const std::string small = lower(word);
  if (small == "k" || small == "thousand") return 3;
  if (small == "m" || small == "million" || small == "mn") return 6;
  if (small == "b" || small == "g" || small == "billion" || small == "bn") return 9;
  if (small == "t" || small == "trillion" || small == "tn") return 12;
  return 0;
}

// "1,300,000" without its commas; other text as it is.
std::string without_groups(std::string_view text) {
  const std::size_t first = text.find(',');
  if (first == std::string_view::npos || first == 0 || first > 3) return std::string(text);
  std::string plain;
  std::size_t digits = 3;  // since the last comma
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      if (i != first && digits != 3) return std::string(text);
      digits = 0;
    } else if (is_digit(text[i])) {
      plain += text[i];
      ++digits;
    } else {
      return std::string(text);
    }
  }
  return digits == 3 ? plain : std::string(text);
}

}  // namespace

std::optional<WrittenNumber> parse_written(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::string plain = without_groups(text);
  WrittenNumber number;
  const char* const stop = plain.data() + plain.size();
  const auto [end, code] = std::from_chars(plain.data(), stop, number.value);
  if (code != std::errc()) return std::nullopt;
  if (end == stop) return number;

  std::string_view rest(end, static_cast<std::size_t>(stop - end));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const std::size_t letters =
      static_cast<std::size_t>(std::find_if(rest.begin(), rest.end(), is_digit) - rest.begin());
  const int exponent = exponent_of(rest.substr(0, letters));
  const std::string_view decimals = rest.substr(letters);
  const std::string_view whole(plain.data(), static_cast<std::size_t>(end - plain.data()));
  const bool digits = std::all_of(whole.begin(), whole.end(), is_digit) &&
                      std::all_of(decimals.begin(), decimals.end(), is_digit);
  if (exponent == 0 || whole.find_first_not_of("0123456789.-") != std::string_view::npos ||
      (!decimals.empty() && !digits))
    return std::nullopt;
  // Joined as text, so that "2.8B" and "2b8" (the unit stands where the point would) are the double
  // nearest to 2.8e9.
  const std::string joined =
      fmt::format("{}{}{}e{}", whole, decimals.empty() ? "" : ".", decimals, exponent);
  std::from_chars(joined.data(), joined.data() + joined.size(), number.value);
  number.with_unit = true;
  return number;
}

Result<NamePattern> NamePattern::parse(std::string_view text) {
  const auto wrong = [&](std::string what) {
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("--name \"{}\": {}", text, what),
                 .hint =
                     "write it like {params}-{tokens}-{unique}; fields: params, tokens, "
                     "unique, epochs and * for any text"};
  };
  NamePattern pattern;
  std::vector<std::string> seen;
  for (std::string_view rest = text; !rest.empty();) {
    if (rest.front() != '{') {
      const std::string_view literal = rest.substr(0, rest.find('{'));
      pattern.parts_.push_back({std::string(literal)});
      rest.remove_prefix(literal.size());
      continue;
    }
    const std::size_t close = rest.find('}');
    if (close == std::string_view::npos) return wrong("a brace is not closed");
    const std::string name(rest.substr(1, close - 1));
    rest.remove_prefix(close + 1);
    const std::vector<std::string>& known = field_names();
    if (name != "*" && std::find(known.begin(), known.end(), name) == known.end())
      return wrong(fmt::format("no field is called \"{}\"{}", name, did_you_mean(name, known)));
    if (name != "*" && std::find(seen.begin(), seen.end(), name) != seen.end())
      return wrong(fmt::format("{{{}}} stands there twice", name));
    if (name != "*") seen.push_back(name);
    pattern.parts_.push_back({name, true});
  }
  if (seen.empty()) return wrong("it has no field");
  return pattern;
}

bool NamePattern::fits(std::string_view name,
                       std::size_t at,
                       std::size_t part,
                       Values& values) const {
  if (part == parts_.size())
    return at == name.size() || at == 0 || !is_word(name[at]) || !is_word(name[at - 1]);
  const Part& wanted = parts_[part];
  if (!wanted.field)
    return name.substr(at).starts_with(wanted.text) &&
           fits(name, at + wanted.text.size(), part + 1, values);
  if (wanted.text == "*") {
    for (std::size_t end = at; end <= name.size(); ++end)
      if (fits(name, end, part + 1, values)) return true;
    return false;
  }
  std::size_t end = at;
  while (end < name.size() && (is_word(name[end]) || name[end] == '.' || name[end] == '+')) ++end;
  for (; end > at; --end) {
    const std::optional<WrittenNumber> number = parse_written(name.substr(at, end - at));
    if (!number || !is_digit(name[at])) continue;
    values.emplace_back(wanted.text, number->value);
    if (fits(name, end, part + 1, values)) return true;
    values.pop_back();
  }
  return false;
}

std::optional<NamePattern::Values> NamePattern::read(std::string_view name) const {
  for (std::size_t at = 0; at < name.size(); ++at) {
    if (at > 0 && is_word(name[at]) && is_word(name[at - 1])) continue;
    Values values;
    if (fits(name, at, 0, values)) return values;
  }
  return std::nullopt;
}

}  // namespace ration::import
