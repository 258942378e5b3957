#include "train/setting_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ration::train {
namespace {

run::Value value_of(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto [stop, code] = std::from_chars(text.data(), end, whole);
      code == std::errc() && stop == end)
    return whole;
  double real = 0;
  if (const auto [stop, code] = std::from_chars(text.data(), end, real);
      code == std::errc() && stop == end)
    return real;
  return text;
}

}  // namespace

std::string_view name_of_setting(std::string_view word) { return word.substr(0, word.find('=')); }

bool is_execution_setting(std::string_view name) {
  const auto fields = run::execution_fields();
  return std::any_of(
      fields.begin(), fields.end(), [&](const run::Field& field) { return field.name == name; });
}

Result<void> apply_setting(const std::string& word, run::RunFile& file) {
  const std::string name(name_of_setting(word));
  if (name.size() == word.size())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("\"{}\" is not of the form name=value", word),
                 .hint = "for example width=384"};
  const run::Value value = value_of(word.substr(name.size() + 1));
  Result<run::Value> accepted = run::accept(name, value);
  if (!accepted) return std::move(accepted).error();
  return is_execution_setting(name) ? run::set(file.execution, name, *accepted)
                                    : run::set(file.spec, name, *accepted);
}

Result<std::int64_t> take_sequences(std::vector<std::string>& settings, std::int64_t usual) {
  constexpr std::int64_t kMost = 1'000'000'000;
  std::int64_t sequences = usual;
  for (const std::string& word : settings) {
    if (name_of_setting(word) != "sequences") continue;
    const std::string_view number =
        std::string_view(word).substr(std::min(word.size(), sizeof("sequences")));
    const auto [end, code] =
        std::from_chars(number.data(), number.data() + number.size(), sequences);
    if (code != std::errc() || end != number.data() + number.size() || sequences < 1 ||
        sequences > kMost)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("\"{}\" is no number of sequences", word),
          .hint = fmt::format("write sequences={}: a whole number from 1 to {}", usual, kMost)};
  }
  std::erase_if(settings,
                [](const std::string& word) { return name_of_setting(word) == "sequences"; });
  return sequences;
}

}  // namespace ration::train
