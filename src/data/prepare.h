#pragma once

// Text to training data: a folder of text files becomes documents, tokens, and a folder that the
// trainer reads (data/manifest.h).
//
//   data::Preparation made = data::prepare(files, clock, "texts", "data/texts",
//                                          {.tokenizer = "bpe:4096"}).value();
//   print(made.full());
//
// Memory: one document, buffers, the sample that a vocabulary is learned from, and about 300 bytes
// a file. Time: every file is read and hashed twice; bytes are written at some 50 MB a second.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "data/manifest.h"

namespace ration::data {

struct PrepareOptions {
  // How text becomes tokens: bytes, bpe:V, unigram:V, or model:FILE. Bytes by default: nothing to
  // learn, nothing lost, and the embedding stays small beside small models.
  std::string tokenizer = "bytes";
  // Hold out the documents whose name's hash is a multiple of this number; 2 … 1000000. One in 50
  // leaves 98 % to train on.
  std::int64_t held_out_one_in = 50;
  // Least text held out, in bytes; 0 … . More documents follow in the order of their hashes. A
  // published fit wants a million held-out tokens; a first look does not, hence 0.
  std::int64_t held_out_bytes = 0;
  // Files with less text are left out, in bytes; 1 … . Below 200 bytes there is mostly no sentence.
  std::int64_t min_document_bytes = 200;
  // Text from which a vocabulary is learned, in bytes; 10000 … 1000000000: training documents in a
  // fixed random order. 10 MB decide a vocabulary of some thousand pieces, and cost seconds.
  std::int64_t sample_bytes = 10'000'000;
  // Kept in the manifest word for word: package, version, licence, …
  std::map<std::string, std::string> notes = {};
  // Replace other data in the output folder. Off: a folder that runs refer to is not lost by a
  // slip.
  bool replace = false;
};

// All problems of the options; empty when they can be used.
std::vector<Error> check(const PrepareOptions& options);

struct SkippedFiles {
  std::int64_t count = 0;
  std::vector<std::string> examples;  // at most three paths, relative to the text folder
};

struct Preparation {
  Manifest manifest;
  std::map<std::string, SkippedFiles> skipped;  // by reason, in words
  bool unchanged = false;  // the folder held exactly this already; nothing was written
  double seconds = 0;

  std::string one_line() const;
  std::string full() const;
};

// How far it is; `total` in the unit of `done` (files or bytes), 0 when unknown.
struct Progress {
  std::string_view phase;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
using ProgressSink = std::function<void(const Progress&)>;

// Prepares the text below `text` into the folder `out`, which appears whole or not at all. The same
// text and options give the same bytes; when `out` holds them already, nothing is written. Errors:
// usage (options; `out` holds something else), input (no folder, no usable text, too few documents
// to hold one out, text that changes meanwhile), resource (disk full, no permission, another
// preparation writing there).
Result<Preparation> prepare(Files& files,
                            Clock& clock,
                            const Path& text,
                            const Path& out,
                            const PrepareOptions& options,
                            const ProgressSink& progress = {});

// Compares <folder>/tokenizer.model with the manifest; nothing to compare for bytes. Error
// (ErrorKind::input): missing or changed.
Result<void> verify_tokenizer(Files& files, const Path& folder, const Manifest& manifest);

}  // namespace ration::data
