#include "data/filter/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/hash.h"

namespace ration::data::filter {

namespace {

std::vector<Span> merged(std::vector<Span> spans) {
  std::sort(
      spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::vector<Span> out;
  for (const Span& span : spans) {
    if (span.begin == span.end) continue;
    if (!out.empty() && span.begin <= out.back().end)
      out.back().end = std::max(out.back().end, span.end);
    else
      out.push_back(span);
  }
  return out;
}

}  // namespace

std::string_view DocumentSource::origin(std::size_t) const { return {}; }
std::optional<std::string_view> DocumentSource::contiguous() const { return {}; }

std::uint64_t total_bytes(const DocumentSource& source) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < source.size(); ++i) sum += source.bytes(i);
  return sum;
}

Result<std::string> digest_of(const DocumentSource& source) {
  Sha256 hash;
  hash.update(fmt::format("{}\n", source.size()));
  std::string buffer;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const Result<std::string_view> text = source.text(i, buffer);
    if (!text) return text.error();
    hash.update(fmt::format("{}\n", text->size()));
    hash.update(*text);
  }
  return hash.hex();
}

TextDocuments::TextDocuments(std::vector<std::string> texts, std::vector<std::string> origins)
    : texts_(std::move(texts)), origins_(std::move(origins)) {}

Result<std::string_view> TextDocuments::text(std::size_t document, std::string&) const {
  return std::string_view(texts_[document]);
}

std::string_view TextDocuments::origin(std::size_t document) const {
  return origins_.empty() ? std::string_view() : origins_[document];
}

MappedDocuments::MappedDocuments(std::unique_ptr<MappedFile> file,
                                 std::vector<std::uint64_t> starts)
    : file_(std::move(file)), starts_(std::move(starts)) {}

std::uint64_t MappedDocuments::bytes(std::size_t document) const {
  return starts_[document + 1] - starts_[document];
}

Result<std::string_view> MappedDocuments::text(std::size_t document, std::string&) const {
  return contiguous()->substr(starts_[document], bytes(document));
}

std::optional<std::string_view> MappedDocuments::contiguous() const {
  const std::span<const std::byte> all = file_->bytes();
  return std::string_view(reinterpret_cast<const char*>(all.data()), all.size());
}

RemainingDocuments::RemainingDocuments(const DocumentSource& source)
    : source_(source), ids_(source.size()), cuts_(source.size()) {
  std::iota(ids_.begin(), ids_.end(), std::size_t{0});
}

std::uint64_t RemainingDocuments::bytes(std::size_t document) const {
  std::uint64_t left = source_.bytes(ids_[document]);
  for (const Span& cut : cuts_[document]) left -= cut.end - cut.begin;
  return left;
}

Result<std::string_view> RemainingDocuments::text(std::size_t document, std::string& buffer) const {
  const std::vector<Span>& cuts = cuts_[document];
  if (cuts.empty()) return source_.text(ids_[document], buffer);
  std::string whole;
  const Result<std::string_view> text = source_.text(ids_[document], whole);
  if (!text) return text.error();
  buffer.clear();
  std::uint64_t at = 0;
  for (const Span& cut : cuts) {
    buffer += text->substr(at, cut.begin - at);
    at = cut.end;
  }
  buffer += text->substr(at);
  return std::string_view(buffer);
}

std::string_view RemainingDocuments::origin(std::size_t document) const {
  return source_.origin(ids_[document]);
}

std::optional<std::string_view> RemainingDocuments::contiguous() const {
  const bool all = ids_.size() == source_.size() &&
                   std::all_of(cuts_.begin(), cuts_.end(), [](const auto& c) { return c.empty(); });
  return all ? source_.contiguous() : std::nullopt;
}

std::vector<Span> RemainingDocuments::in_source(std::size_t document,
                                                const std::vector<Span>& spans) const {
  const std::vector<Span>& cuts = cuts_[document];
  std::vector<Span> out;
  std::size_t next = 0;       // the first cut behind the place
  std::uint64_t removed = 0;  // bytes of the cuts before it
  const auto place = [&](std::uint64_t at) {
    for (; next < cuts.size() && cuts[next].begin <= at + removed; ++next)
      removed += cuts[next].end - cuts[next].begin;
    return at + removed;
  };
  for (const Span& span : spans) {
    if (span.begin == span.end) continue;
    const std::uint64_t begin = place(span.begin);
    out.push_back({begin, place(span.end - 1) + 1});
  }
  return out;
}

void RemainingDocuments::cut(std::size_t document, const std::vector<Span>& spans) {
  std::vector<Span> all = in_source(document, spans);
  all.insert(all.end(), cuts_[document].begin(), cuts_[document].end());
  cuts_[document] = merged(std::move(all));
}

void RemainingDocuments::drop(const std::vector<std::size_t>& documents) {
  std::size_t next = 0, kept = 0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (next < documents.size() && documents[next] == i) {
      ++next;
      continue;
    }
    if (kept != i) {
      ids_[kept] = ids_[i];
      cuts_[kept] = std::move(cuts_[i]);
    }
    ++kept;
  }
  ids_.resize(kept);
  cuts_.resize(kept);
}

}  // namespace ration::data::filter
