#include "data/filter/texts.h"

#include <fmt/format.h>

#include <cstring>

#include "base/part_file.h"

namespace ration::data::filter {

std::vector<Part> parts_of(const DocumentSource& source, std::uint64_t part_bytes) {
  std::vector<Part> parts;
  std::uint64_t bytes = part_bytes;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (bytes >= part_bytes) {
      parts.push_back({i, i});
      bytes = 0;
    }
    bytes += source.bytes(i) + 64;  // a document costs something even when it is empty
    parts.back().end = i + 1;
  }
  return parts;
}

Result<std::string_view> checked_text(const DocumentSource& source,
                                      std::size_t document,
                                      std::string& buffer) {
  Result<std::string_view> text = source.text(document, buffer);
  if (text && text->size() != source.bytes(document))
    return Error{ErrorKind::input,
                 fmt::format("document {} changed its length while it was filtered", document),
                 "filter again when nothing else writes to the corpus"};
  return text;
}

namespace {

Result<void> append_texts(const DocumentSource& source, AppendFile& file) {
  std::string buffer, pending;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const Result<std::string_view> text = source.text(i, buffer);
    if (!text) return text.error();
    pending += *text;
    if (pending.size() < (std::size_t{4} << 20) && i + 1 < source.size()) continue;
    if (Result<void> done = file.append(pending); !done) return done;
    pending.clear();
  }
  return {};
}

}  // namespace

Result<WholeText> WholeText::of(const DocumentSource& source,
                                const Path& scratch,
                                std::uint64_t in_memory) {
  WholeText whole;
  whole.starts_.reserve(source.size() + 1);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    whole.starts_.push_back(total);
    total += source.bytes(i);
  }
  whole.starts_.push_back(total);
  if (const std::optional<std::string_view> given = source.contiguous()) {
    whole.text_ = *given;
    return whole;
  }
  if (total <= in_memory) {
    whole.copy_ = std::make_unique_for_overwrite<char[]>(total + 1);
    const Result<void> copied = for_each_text(source, 1, [&](std::size_t i, std::string_view text) {
      std::memcpy(whole.copy_.get() + whole.starts_[i], text.data(), text.size());
    });
    if (!copied) return copied.error();
    whole.text_ = {whole.copy_.get(), total};
    return whole;
  }
  if (scratch.empty())
    return Error{ErrorKind::resource,
                 "the text is larger than the memory allowed, and there is no scratch folder",
                 "allow more memory or name a scratch folder"};
  Files& files = real_files();
  const Path path = part_beside(files, scratch / "filter-text");
  if (Result<void> removed = files.remove_all(path); !removed) return std::move(removed).error();
  Result<std::unique_ptr<AppendFile>> file = files.open_append(path);
  if (!file) return std::move(file).error();
  if (Result<void> done = append_texts(source, **file); !done) {
    static_cast<void>(files.remove_all(path));
    return std::move(done).error();
  }
  Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
  static_cast<void>(files.remove_all(path));  // the mapping keeps the bytes
  if (!mapped) return std::move(mapped).error();
  whole.file_ = std::move(mapped).value();
  const std::span<const std::byte> bytes = whole.file_->bytes();
  if (bytes.size() != total)
    return Error{ErrorKind::input,
                 "the corpus changed its length while it was filtered",
                 "filter again when nothing else writes to the corpus"};
  whole.text_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  return whole;
}

std::size_t WholeText::document_at(std::uint64_t position) const {
  const auto behind = std::upper_bound(starts_.begin(), starts_.end(), position);
  return static_cast<std::size_t>(behind - starts_.begin()) - 1;
}

std::uint64_t WholeText::memory_bytes() const {
  return (copy_ ? text_.size() : 0) + 8 * starts_.size();
}

}  // namespace ration::data::filter
