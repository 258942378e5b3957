#pragma once

// Text to training data: a folder of text files becomes documents, tokens, and a folder that the
// trainer reads (data/manifest.h).
//
//   data::Preparation made = data::prepare(files, clock, "texts", "data/texts",
//                                          {.tokenizer = "bpe:4096"}).value();
//   print(made.full());
//
// Memory: `memory_bytes` for text and tokens under way, the sample that a vocabulary is learned
// from, about 1 kB a file and 50 a document. Time: every text is read and hashed twice, on all
// cores. A killed preparation goes on where it stopped when the command is repeated.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "data/keep.h"
#include "data/manifest.h"
#include "data/progress.h"

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
  // Member of a JSON line that holds a document's text, and one that names it (a string or whole
  // number; empty: "path:line" is its name). A name of its own keeps a document in its split
  // wherever its line stands.
  std::string text_field = "text";
  std::string id_field = {};
  // Where documents of other files end: empty (one file, one document), or as parse_split has it.
  std::string split_documents = {};
  // Threads, 1 … 1024; 0 takes all cores. The data do not depend on it.
  std::int64_t threads = 0;
  // Memory for text and tokens under way, in bytes; 16 MB … . A document that needs more is worked
  // on alone: up to six times its text, which is at most 256 MiB.
  std::int64_t memory_bytes = std::int64_t{1} << 30;
  // Time after which what is written is made safe against a kill, in seconds; 0 … .
  double checkpoint_seconds = 5;
  // Leaves documents out, or cuts spans out of them, between the split and the tokens.
  DocumentFilter filter = {};
  // Counts held-out text among what is trained on; runs when tokens are written, and where a folder
  // that holds these data already was not compared with the held-out text asked for.
  OverlapCheck overlap = {};
  bool more_held_out = false;  // `overlap` looks for other held-out text than the corpus's own
  // Replace other data in the output folder. Off: a folder that runs refer to is not lost by a
  // slip.
  bool replace = false;
};

// All problems of the options; empty when they can be used.
std::vector<Error> check(const PrepareOptions& options);

struct SkippedFiles {
  std::int64_t count = 0;
  std::vector<std::string> examples;  // at most three: "path", or "path:line" of a file of several
};

struct Preparation {
  Manifest manifest;
  std::map<std::string, SkippedFiles> skipped;  // by reason, in words
  bool unchanged = false;       // the folder held exactly this already; nothing was written
  std::int64_t taken_over = 0;  // documents that a killed preparation had written
  double seconds = 0;

  std::string one_line() const;
  std::string full() const;
};

// Prepares the text below `text`, or of the file `text`, into the folder `out`, which appears whole
// or not at all. The same text and options give the same bytes; when `out` holds them already,
// nothing is written. Errors: usage (options; `out` holds something else), input (no folder, no
// usable text, too few documents to hold one out, text that changes meanwhile), resource (disk
// full, no permission, another preparation writing there).
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
