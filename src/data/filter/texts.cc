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

TextSpool::TextSpool(Files& files, Path path, std::unique_ptr<AppendFile> file)
    : files_(files), path_(std::move(path)), file_(std::move(file)) {}

TextSpool::~TextSpool() {
  if (file_ != nullptr) static_cast<void>(files_.remove_all(path_));
}

Result<TextSpool> TextSpool::create(Files& files, const Path& scratch) {
  if (Result<void> made = files.make_folders(scratch); !made) return std::move(made).error();
  Path path = part_beside(files, scratch / "filter-text");
  if (Result<void> removed = files.remove_all(path); !removed) return std::move(removed).error();
  Result<std::unique_ptr<AppendFile>> file = files.open_append(path);
  if (!file) return std::move(file).error();
  return TextSpool(files, std::move(path), *std::move(file));
}

Result<void> TextSpool::add(std::string_view text) {
  constexpr std::size_t kAtOnce = std::size_t{4} << 20;
  pending_ += text;
  starts_.push_back(starts_.back() + text.size());
  return pending_.size() < kAtOnce ? Result<void>() : write_pending();
}

Result<void> TextSpool::write_pending() {
  Result<void> done = file_->append(pending_);
  pending_.clear();
  return done;
}

Result<MappedDocuments> TextSpool::finish() && {
  if (Result<void> done = write_pending(); !done) return std::move(done).error();
  Result<std::unique_ptr<MappedFile>> mapped = files_.map(path_);
  static_cast<void>(files_.remove_all(path_));  // the mapping keeps the bytes
  file_.reset();
  if (!mapped) return std::move(mapped).error();
  return MappedDocuments(*std::move(mapped), std::move(starts_));
}

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
  Result<TextSpool> spool = TextSpool::create(real_files(), scratch);
  if (!spool) return std::move(spool).error();
  std::string buffer;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const Result<std::string_view> text = checked_text(source, i, buffer);
    if (!text) return text.error();
    if (Result<void> done = spool->add(*text); !done) return std::move(done).error();
  }
  Result<MappedDocuments> spooled = std::move(*spool).finish();
  if (!spooled) return std::move(spooled).error();
  whole.spooled_ = *std::move(spooled);
  whole.text_ = *whole.spooled_->contiguous();
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
