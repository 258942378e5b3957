#pragma once

// The texts of chosen documents, read again on all cores and handed over in the order of the
// corpus; a text that is no longer what was scanned is an error.

#include <functional>
#include <memory>
#include <vector>

#include "data/corpus.h"
#include "data/ordered.h"

namespace ration::data {

struct TextReader {
  Files& files;
  const Corpus& corpus;
  const TextRules& rules;
  Workforce workforce;
  double cost_per_byte = 2;  // memory that the work needs for a byte of text
};

struct DocumentText {
  std::size_t index;  // of Corpus::documents
  std::string text;
};

// Some documents that follow each other: about 1 MiB of text, or one larger document.
struct TextUnit {
  std::vector<std::size_t> documents;
  Block block;                      // of a file of several documents
  std::vector<RecordSpan> records;  // of the documents, in the block
};

// Which documents come next; no text of whole files yet.
class TextUnits {
 public:
  using Chosen = std::function<bool(std::size_t index)>;
  TextUnits(const TextReader& reader, Chosen chosen);

  // The next unit and its cost, or nothing at the end. Error (ErrorKind::input): a file of several
  // documents changed.
  Result<std::optional<std::pair<TextUnit, std::uint64_t>>> next();

 private:
  Result<bool> fill_from_block(TextUnit& unit);
  bool skip_unchosen();

  const TextReader& reader_;
  Chosen chosen_;
  std::size_t at_ = 0;
  std::unique_ptr<BlockReader> blocks_;  // of the file that holds document at_
  std::uint32_t open_source_ = 0;
};

// Takes the text of one document; an error ends the unit.
using TextVisitor = std::function<Result<void>(DocumentText&& one)>;

// Calls visit for the texts of a unit, one after the other, so that only one of them is in memory.
// Errors: those of visit; ErrorKind::input when a file changed.
Result<void> visit_texts(const TextReader& reader, const TextUnit& unit, const TextVisitor& visit);

// The texts of a unit. Error (ErrorKind::input): a file changed.
Result<std::vector<DocumentText>> read_unit(const TextReader& reader, const TextUnit& unit);

// Calls work(unit) -> Result<Out> on the workforce and consume(out) -> Result<void> in order.
template <class Out, class Work, class Consume>
Result<void> for_each_unit(const TextReader& reader,
                           TextUnits::Chosen chosen,
                           Work work,
                           Consume consume) {
  TextUnits units(reader, std::move(chosen));
  return in_order<TextUnit, Out>(
      reader.workforce, [&] { return units.next(); }, work, consume);
}

// The same with work(texts) -> Result<Out>.
template <class Out, class Work, class Consume>
Result<void> for_each_text(const TextReader& reader,
                           TextUnits::Chosen chosen,
                           Work work,
                           Consume consume) {
  return for_each_unit<Out>(
      reader,
      std::move(chosen),
      [&](TextUnit&& unit) -> Result<Out> {
        Result<std::vector<DocumentText>> texts = read_unit(reader, unit);
        if (!texts) return std::move(texts).error();
        return work(*std::move(texts));
      },
      consume);
}

}  // namespace ration::data
