#include "data/sample.h"

#include <algorithm>
#include <unordered_map>

#include "base/random.h"

namespace ration::data {
namespace {

constexpr std::size_t kMaxLine = 4096;

}  // namespace

Result<SampleLines> SampleLines::read(const TextReader& reader, std::int64_t sample_bytes) {
  const std::vector<Document>& documents = reader.corpus.documents;
  std::unordered_map<std::size_t, std::size_t> place;  // of a document in the sample
  std::int64_t bytes = 0;
  for (const std::uint32_t index :
       permutation(static_cast<std::uint32_t>(documents.size()), Stream(0, StreamId::documents))) {
    if (bytes >= sample_bytes) break;
    if (documents[index].use != Use::train) continue;
    place.emplace(index, place.size());
    bytes += static_cast<std::int64_t>(documents[index].bytes);
  }
  SampleLines lines;
  lines.texts_.resize(place.size());
  lines.bytes_left_ = sample_bytes;
  using Texts = std::vector<DocumentText>;
  Result<void> done = for_each_text<Texts>(
      reader,
      [&](std::size_t index) { return place.contains(index); },
      [](Texts&& texts) { return Result<Texts>(std::move(texts)); },
      [&](Texts&& texts) {
        for (DocumentText& one : texts) lines.texts_[place.at(one.index)] = std::move(one.text);
        return Result<void>();
      });
  if (!done) return std::move(done).error();
  return lines;
}

std::optional<std::string> SampleLines::next() {
  while (bytes_left_ > 0 && text_ < texts_.size()) {
    const std::string& text = texts_[text_];
    if (at_ >= text.size()) {
      ++text_;
      at_ = 0;
      continue;
    }
    const std::size_t end = std::min(text.find('\n', at_), text.size());
    const std::string_view rest = std::string_view(text).substr(at_, end - at_);
    std::string line(rest.substr(0, whole_characters(rest, kMaxLine)));
    at_ += line.size() == rest.size() ? line.size() + 1 : line.size();
    bytes_left_ -= static_cast<std::int64_t>(line.size() + 1);
    if (!line.empty()) return line;
  }
  return std::nullopt;
}

}  // namespace ration::data
