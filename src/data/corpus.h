#pragma once

// What a text folder holds, without any text: its files and its documents in order.

#include <array>
#include <map>
#include <string>
#include <vector>

#include "data/json_line.h"
#include "data/manifest.h"
#include "data/records.h"
#include "data/text_folder.h"

namespace ration::data {

// What became of a document.
enum class Use : std::uint8_t {
  train,
  val,
  duplicate,  // equal to a held-out document, left out
  filtered,   // left out by a filter
};
std::string_view name_of(Use use);

// How text becomes documents.
struct TextRules {
  std::int64_t min_document_bytes = 200;
  JsonFields fields = {};
  RecordRule split = {};  // of files that are not JSONL
};

struct Document {
  std::uint32_t source = 0;       // of Corpus::sources
  Use use = Use::train;           // filled in by split_documents
  std::uint32_t check = 0;        // CRC-32C of the text: a file that changes is noticed
  std::uint64_t record = 0;       // of a file of several documents (RecordSpan::number); else 0
  std::uint64_t bytes = 0;        // of text
  std::uint64_t name_hash = 0;    // decides the split
  std::uint64_t layout_free = 0;  // equal for texts that differ in white space alone
};

// What was left out for one reason, with the first ones as examples.
struct Skips {
  struct Example {
    std::string place;  // "path", or "path:record"
    std::string text;   // its beginning, where it can be shown
  };
  std::int64_t count = 0;
  std::vector<Example> examples;  // at most kExamples
};
inline constexpr std::size_t kExamples = 20;

// The beginning of a text that people are shown, at most 300 bytes; empty when it is not UTF-8.
std::string excerpt(std::string_view text);

struct Corpus {
  Path folder;
  std::vector<SourceFile> sources;      // files with at least one document, in order
  std::vector<RecordRule::Kind> kinds;  // of sources
  std::vector<Document> documents;      // in the order of the sources and of their records
  std::map<SkipReason, Skips> skipped;
  std::vector<std::string> fetched;  // paths of kFetchFile

  // "path", or "path:12" for a record.
  std::string place(const Document& document) const;
  bool holds_records(const Document& document) const {
    return kinds[document.source] != RecordRule::Kind::whole;
  }
};

// The records' kind of a file by its name: .jsonl and .ndjson, also compressed, hold JSON lines;
// all others follow `rules.split`.
RecordRule rule_of(std::string_view path, const TextRules& rules);

// First 64 bits, big-endian, of SHA-256 of a document's name: its id where it has one, else its
// path without the ending of a compressed file, followed by ":" and its number within a file of
// several.
std::uint64_t name_hash(std::string_view path);
std::string document_label(std::string_view path, std::uint64_t record, std::string_view id);

// A number that texts share whose bytes other than white space are the same in another order or
// layout.
std::uint64_t layout_free_hash(std::string_view text);

// The text of a record, or why it is left out.
struct RecordText {
  std::string text;
  std::string id;
};
std::variant<RecordText, SkipReason> read_record(std::string_view record,
                                                 RecordRule::Kind kind,
                                                 const TextRules& rules);

}  // namespace ration::data
