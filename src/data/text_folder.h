#pragma once

// A folder of text files as the preparation reads it: which files there are, and the text of each,
// or the reason why it is left out.

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/files.h"

namespace ration::data {

// Why a file is no document. Each is counted and reported, none is an error by itself.
enum class SkipReason {
  hidden,        // its name, or a folder's above it, begins with a dot
  link,          // a symbolic link: text is not to be counted twice
  bad_name,      // its name is not UTF-8 and cannot be recorded
  unreadable,    // it cannot be opened or read
  too_large,     // more than kMaxDocumentBytes of text, or a longer line
  damaged_gzip,  // it begins like a gzip file and cannot be decompressed
  damaged_zstd,
  damaged_xz,
  invalid_json,  // a line of a JSONL file that is not one JSON object
  no_text,       // a JSON object without the member that holds the text
  empty,         // no byte of text
  tiny,          // fewer bytes of text than asked for
  binary,        // it holds a zero byte
  invalid_utf8,  // it is not UTF-8
};

// The name in reports and in manifest.json: "damaged_gzip".
std::string_view name_of(SkipReason reason);
// The reason in words: "damaged gzip files".
std::string_view words_of(SkipReason reason);

// One document at a time is held in memory, so its size bounds the memory of a preparation.
inline constexpr std::uint64_t kMaxDocumentBytes = std::uint64_t{256} << 20;

// What `ration data fetch` tells of a text; no document.
inline constexpr std::string_view kFetchFile = "ration.fetch.json";

struct SkippedFile {
  std::string path;  // relative to the text folder; "path:record" within a file
  SkipReason reason;
};

struct TextFiles {
  std::vector<std::string> paths;  // relative, in the byte order of document_name, then of path
  std::vector<SkippedFile> skipped;
  std::vector<std::string> fetched;  // paths of kFetchFile
};

// The files below `folder`, at any depth. Errors: the folder is missing, is no folder, or a folder
// in it cannot be listed.
Result<TextFiles> list_text_files(const Path& folder);

// The path without a final ".gz", ".zst" or ".xz": a document keeps its place and its split when
// the folder is compressed.
std::string_view document_name(std::string_view path);

// The text of one file, decompressed where it is a gzip, zstd or xz file, or why it is left out.
std::variant<std::string, SkipReason> read_text(Files& files,
                                                const Path& path,
                                                std::uint64_t min_bytes);

// The same for any text, whatever it holds; all of a file is read to find that it is too large.
std::variant<std::string, SkipReason> unpacked_text(Files& files, const Path& path);

// Why a text is left out: empty, a zero byte, not UTF-8, too small.
std::optional<SkipReason> unusable(std::string_view text, std::uint64_t min_bytes);

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

// Bytes of the longest piece at the start of `text` that has at most `limit` bytes and ends where a
// character ends.
std::size_t whole_characters(std::string_view text, std::size_t limit);

// Runs of ASCII white space become one blank, none at either end: texts that differ in layout alone
// are equal.
std::string normalised(std::string_view text);

}  // namespace ration::data
