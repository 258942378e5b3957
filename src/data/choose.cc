#include "data/choose.h"

#include <algorithm>

#include "data/scan.h"

namespace ration::data {

bool Chosen::of_records() const {
  return !kept.record.empty() ||
         std::any_of(corpus.kinds.begin(), corpus.kinds.end(), [](RecordRule::Kind kind) {
           return kind != RecordRule::Kind::whole;
         });
}

std::uint64_t Chosen::kept_bytes(std::size_t index) const {
  std::uint64_t bytes = corpus.documents[index].bytes;
  if (const auto cuts = kept.cuts.find(index); cuts != kept.cuts.end())
    for (const ByteSpan& cut : cuts->second) bytes -= cut.end - cut.begin;
  return bytes;
}

Result<Chosen> choose_documents(Files& files,
                                const Path& text,
                                const TextRules& rules,
                                const Workforce& workforce,
                                const SplitRule& split,
                                const DocumentFilter& filter,
                                const Path& scratch,
                                const ProgressSink& progress) {
  Result<Corpus> corpus = scan_text(files, text, rules, workforce, progress);
  if (!corpus) return std::move(corpus).error();
  Chosen chosen{.corpus = *std::move(corpus)};
  std::vector<Document>& documents = chosen.corpus.documents;
  if (auto done = split_documents(documents, split); !done) return std::move(done).error();
  const TextReader reader{files, chosen.corpus, rules, workforce};
  Result<std::vector<Duplicate>> duplicates = find_duplicates(reader);
  if (!duplicates) return std::move(duplicates).error();
  chosen.duplicates = *std::move(duplicates);
  for (const Duplicate& one : chosen.duplicates) documents[one.document].use = Use::duplicate;
  if (auto done = check_something_trains(documents); !done) return std::move(done).error();
  if (!filter) return chosen;
  Result<Kept> kept = filter(reader, scratch);
  if (!kept) return std::move(kept).error();
  chosen.kept = *std::move(kept);
  for (const Dropped& one : chosen.kept.dropped) documents[one.document].use = Use::filtered;
  if (!check_something_trains(documents))
    return Error{.kind = ErrorKind::input,
                 .what = "the filters leave no document to train on",
                 .hint = "loosen them, or take the last one away to see what it leaves"};
  return chosen;
}

std::vector<DocumentOrigin> origins(const Chosen& chosen) {
  std::vector<DocumentOrigin> all;
  all.reserve(chosen.corpus.documents.size());
  for (std::size_t i = 0; i < chosen.corpus.documents.size(); ++i) {
    const Document& document = chosen.corpus.documents[i];
    all.push_back({document.source, document.use, document.record, chosen.kept_bytes(i)});
  }
  return all;
}

std::vector<DroppedText> dropped_sample(const TextReader& reader, const Chosen& chosen) {
  std::vector<DroppedText> dropped;
  for (const auto& [reason, skips] : chosen.corpus.skipped)
    for (const Skips::Example& example : skips.examples)
      dropped.push_back({std::string(words_of(reason)), example.place, "", example.text});
  std::map<std::size_t, DroppedText> documents;
  for (const Duplicate& duplicate : chosen.duplicates) {
    if (documents.size() == kExamples) break;
    documents[duplicate.document] = {
        "equal to a held-out document",
        chosen.corpus.place(chosen.corpus.documents[duplicate.document]),
        chosen.corpus.place(chosen.corpus.documents[duplicate.held_out])};
  }
  std::vector<Dropped> filtered = chosen.kept.dropped;
  std::sort(filtered.begin(), filtered.end(), [&](const Dropped& a, const Dropped& b) {
    const auto hash = [&](const Dropped& d) {
      return std::pair(chosen.corpus.documents[d.document].name_hash, d.document);
    };
    return hash(a) < hash(b);
  });
  constexpr std::size_t kFiltered = 100;
  if (filtered.size() > kFiltered) filtered.resize(kFiltered);
  for (Dropped& one : filtered)
    documents[one.document] = {"left out by a filter",
                               chosen.corpus.place(chosen.corpus.documents[one.document]),
                               std::move(one.why)};
  using Texts = std::vector<DocumentText>;
  const Result<void> read = for_each_text<Texts>(
      reader,
      [&](std::size_t index) { return documents.contains(index); },
      [](Texts&& texts) {
        for (DocumentText& one : texts) one.text = excerpt(one.text);
        return Result<Texts>(std::move(texts));
      },
      [&](Texts&& texts) {
        for (DocumentText& one : texts) documents[one.index].text = std::move(one.text);
        return Result<void>();
      });
  static_cast<void>(read.has_value());
  for (auto& [index, one] : documents) dropped.push_back(std::move(one));
  return dropped;
}

}  // namespace ration::data
