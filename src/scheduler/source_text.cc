#include "scheduler/source_text.h"

#include <algorithm>

namespace ration::scheduler {

SourceText::SourceText(std::string file, std::string text)
    : file_(std::move(file)), text_(std::move(text)), starts_{0} {
  for (std::size_t i = 0; i < text_.size(); ++i)
    if (text_[i] == '\n') starts_.push_back(i + 1);
}

std::string_view SourceText::line(int number) const {
  const auto index = static_cast<std::size_t>(number) - 1;
  if (number < 1 || index >= starts_.size()) return {};
  const std::string_view rest = std::string_view(text_).substr(starts_[index]);
  std::string_view content = rest.substr(0, rest.find('\n'));
  if (content.ends_with('\r')) content.remove_suffix(1);
  return content;
}

Place SourceText::place_of(std::size_t byte) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), byte);
  return {static_cast<int>(next - starts_.begin()), static_cast<int>(byte - *(next - 1)) + 1};
}

SourceRef SourceText::at(Place place) const {
  constexpr std::size_t kLongest = 160;
  SourceRef ref{.file = file_, .line = place.line, .column = place.column};
  const std::string_view content = line(place.line);
  if (content.size() > kLongest) return ref;
  ref.line_text = std::string(content);
  for (char& c : ref.line_text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return ref;
}

Error SourceText::problem(Place place, std::string what, std::string hint) const {
  return {.kind = ErrorKind::usage,
          .what = std::move(what),
          .hint = std::move(hint),
          .where = at(place)};
}

}  // namespace ration::scheduler
