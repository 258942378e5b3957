#include "data/sample.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/random.h"
#include "data/text_folder.h"

namespace ration::data {
namespace {

constexpr std::size_t kMaxLine = 4096;

}  // namespace

SampleLines::SampleLines(Files& files,
                         Path folder,
                         std::span<const SourceFile> sources,
                         std::int64_t sample_bytes)
    : files_(files),
      folder_(std::move(folder)),
      sources_(sources),
      order_(
          permutation(static_cast<std::uint32_t>(sources.size()), Stream(0, StreamId::documents))),
      bytes_left_(sample_bytes) {}

std::optional<std::string> SampleLines::next() {
  while (bytes_left_ > 0) {
    if (at_ >= text_.size() && !open_next_document()) return std::nullopt;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view rest = std::string_view(text_).substr(at_, end - at_);
    std::string line(rest.substr(0, whole_characters(rest, kMaxLine)));
    at_ += line.size() == rest.size() ? line.size() + 1 : line.size();
    bytes_left_ -= static_cast<std::int64_t>(line.size() + 1);
    if (!line.empty()) return line;
  }
  return std::nullopt;
}

bool SampleLines::open_next_document() {
  while (opened_ < order_.size()) {
    const SourceFile& source = sources_[order_[opened_++]];
    if (source.use != "train") continue;
    Result<std::string> text = read_source(files_, folder_, source);
    if (!text) {
      problem_ = std::move(text).error();
      break;
    }
    text_ = *std::move(text);
    at_ = 0;
    return true;
  }
  opened_ = order_.size();
  return false;
}

Result<std::string> read_source(Files& files, const Path& folder, const SourceFile& source) {
  auto text = read_text(files, folder / source.path, 0);
  if (auto* bytes = std::get_if<std::string>(&text))
    if (sha256_hex(*bytes) == source.sha256) return std::move(*bytes);
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} changed while it was being prepared",
                                   (folder / source.path).string()),
               .hint = "repeat the command once the text stays as it is"};
}

std::size_t whole_characters(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text.size();
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  std::size_t end = limit;
  while (end > 0 && continues(end)) --end;
  return end;
}

}  // namespace ration::data
