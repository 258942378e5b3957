#pragma once

// Two files beside the tokens that say where documents come from: documents.bin, one record a
// document, and dropped.jsonl, a sample of what was left out and why. docs/data.md has the formats.

#include <vector>

#include "data/corpus.h"

namespace ration::data {

inline constexpr const char* kDocumentsFile = "documents.bin";
inline constexpr const char* kDroppedFile = "dropped.jsonl";

// One record of documents.bin.
struct DocumentOrigin {
  std::uint32_t source = 0;  // of Manifest::sources
  Use use = Use::train;
  std::uint64_t record = 0;  // line or record of the file, from 1; 0 for a whole file
  std::uint64_t bytes = 0;   // of text, without what was cut
  bool operator==(const DocumentOrigin&) const = default;
};

// The bytes of documents.bin, 24 a document.
std::string documents_bytes(const std::vector<DocumentOrigin>& documents);

// Where the documents of a prepared folder come from, in the order of the text: of documents.bin,
// or of the sources alone where every file is one document. Error (ErrorKind::input): damaged.
Result<std::vector<DocumentOrigin>> read_documents(Files& files,
                                                   const Path& folder,
                                                   const Manifest& manifest);

// Something left out.
struct DroppedText {
  std::string reason;  // "tiny files", "equal to a held-out document"
  std::string place;   // "path" or "path:record"
  std::string detail;  // what more is known: the equal document; may be empty
  std::string text;    // its beginning; may be empty
  bool operator==(const DroppedText&) const = default;
};

std::string dropped_lines(const std::vector<DroppedText>& dropped);

// What dropped.jsonl holds; nothing where there is none. Error (ErrorKind::input): damaged.
Result<std::vector<DroppedText>> read_dropped(Files& files, const Path& folder);

}  // namespace ration::data
