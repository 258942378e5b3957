#include "data/document_pass.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace ration::data {
namespace {

constexpr std::uint64_t kUnitBytes = std::uint64_t{1} << 19;
constexpr std::size_t kUnitDocuments = 256;

Error changed(const Path& path) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{} changed while it was being prepared", path.string()),
          .hint = "repeat the command once the text stays as it is"};
}

bool is_as_scanned(std::string_view text, const Document& document) {
  return text.size() == document.bytes && crc32c(text) == document.check;
}

}  // namespace

TextUnits::TextUnits(const TextReader& reader, Chosen chosen)
    : reader_(reader), chosen_(std::move(chosen)) {}

// Moves on to the next document that is wanted; false at the end.
bool TextUnits::skip_unchosen() {
  const std::size_t end = reader_.corpus.documents.size();
  while (at_ < end && !chosen_(at_)) ++at_;
  return at_ < end;
}

Result<std::optional<std::pair<TextUnit, std::uint64_t>>> TextUnits::next() {
  using Unit = std::optional<std::pair<TextUnit, std::uint64_t>>;
  const Corpus& corpus = reader_.corpus;
  TextUnit unit;
  std::uint64_t bytes = 0;
  while (bytes < kUnitBytes && unit.documents.size() < kUnitDocuments && skip_unchosen()) {
    const Document& document = corpus.documents[at_];
    if (!corpus.holds_records(document)) {
      if (!unit.documents.empty() && bytes + document.bytes > kUnitBytes) break;
      bytes += document.bytes;
      unit.documents.push_back(at_++);
      continue;
    }
    if (!unit.documents.empty()) break;
    Result<bool> found = fill_from_block(unit);
    if (!found) return std::move(found).error();
    if (!*found) continue;
    bytes = unit.block.bytes.size();
    break;
  }
  if (unit.documents.empty()) return Unit();
  return Unit(std::pair(
      std::move(unit),
      static_cast<std::uint64_t>(static_cast<double>(bytes) * reader_.cost_per_byte) + 4096));
}

// Takes the next block of the file that holds document at_; false when no wanted one is in it.
Result<bool> TextUnits::fill_from_block(TextUnit& unit) {
  const Corpus& corpus = reader_.corpus;
  const std::uint32_t source = corpus.documents[at_].source;
  const std::string& name = corpus.sources[source].path;
  const Path path = corpus.folder / name;
  if (blocks_ == nullptr || open_source_ != source) {
    blocks_ = std::make_unique<BlockReader>(
        reader_.files, path, rule_of(name, reader_.rules), kMaxDocumentBytes);
    open_source_ = source;
  }
  Result<std::optional<Block>> block = blocks_->next();
  if (!block || !block->has_value()) return changed(path);
  unit.block = *std::move(*block);
  const auto in_source = [&] {
    return at_ < corpus.documents.size() && corpus.documents[at_].source == source;
  };
  for (const RecordSpan& record : unit.block.records) {
    while (in_source() && corpus.documents[at_].record < record.number && !chosen_(at_)) ++at_;
    if (!in_source()) break;
    if (corpus.documents[at_].record < record.number) return changed(path);
    if (corpus.documents[at_].record > record.number) continue;
    if (chosen_(at_)) {
      unit.documents.push_back(at_);
      unit.records.push_back(record);
    }
    ++at_;
  }
  if (!in_source()) blocks_ = nullptr;
  return !unit.documents.empty();
}

Result<void> visit_texts(const TextReader& reader, const TextUnit& unit, const TextVisitor& visit) {
  const Corpus& corpus = reader.corpus;
  for (std::size_t i = 0; i < unit.documents.size(); ++i) {
    const Document& document = corpus.documents[unit.documents[i]];
    const Path path = corpus.folder / corpus.sources[document.source].path;
    std::string text;
    if (corpus.holds_records(document)) {
      const RecordSpan& span = unit.records[i];
      auto read = read_record(std::string_view(unit.block.bytes).substr(span.at, span.size),
                              corpus.kinds[document.source],
                              reader.rules);
      if (auto* record = std::get_if<RecordText>(&read)) text = std::move(record->text);
    } else {
      auto read = unpacked_text(reader.files, path);
      if (auto* whole = std::get_if<std::string>(&read)) text = std::move(*whole);
    }
    if (!is_as_scanned(text, document)) return changed(path);
    if (auto done = visit({unit.documents[i], std::move(text)}); !done) return done;
  }
  return {};
}

Result<std::vector<DocumentText>> read_unit(const TextReader& reader, const TextUnit& unit) {
  std::vector<DocumentText> texts;
  texts.reserve(unit.documents.size());
  Result<void> done = visit_texts(reader, unit, [&](DocumentText&& one) {
    texts.push_back(std::move(one));
    return Result<void>();
  });
  if (!done) return std::move(done).error();
  return texts;
}

}  // namespace ration::data
