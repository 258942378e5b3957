#pragma once

// Texts that Debian packages hold, made into text folders: `ration data fetch`. The one table of
// names, packages, files, licences and digests stands in corpora.cc.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/fetched.h"
#include "data/progress.h"

namespace ration::data {

struct KnownCorpus {
  std::string_view name;
  std::string_view about;    // for people
  std::string_view package;  // of Debian 12
  std::string_view version;  // that the numbers below were measured with
  std::string_view licence;
  std::string_view folder;  // within the package, from the root
  std::vector<std::string_view>
      endings;                    // of the files taken, or their names, also with .gz; empty = all
  std::string_view without = {};  // folders of this name are left out
  bool installed = false;         // taken from this system where it has the folder
  bool entries = false;  // one file of entries that begin with a headword after a blank line
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;       // unpacked
  std::string_view sha256 = {};  // first 16 digits
};

std::span<const KnownCorpus> known_corpora();
// Null when there is none of that name.
const KnownCorpus* find_corpus(std::string_view name);

// Runs a program to its end: its words, what it may take in seconds; its standard output, or an
// error with the program's own words.
using ProgramRunner =
    std::function<Result<std::string>(const std::vector<std::string>& words, double seconds)>;

struct FetchOptions {
  bool replace = false;  // fetch anew what is there
  Path system = "/";     // where installed packages are looked for
};

struct Fetched {
  FetchedCorpus corpus;
  Path folder;
  bool there_already = false;
  std::int64_t left_out = 0;  // entries that are not UTF-8
};

// Makes <out>/<name>: the files, unpacked, or <name>.jsonl with one line an entry; and
// ration.fetch.json. The folder appears whole or not at all. Needs apt-get and dpkg-deb unless the
// text is installed; no root. Errors: usage (something else lies there), resource (the package
// cannot be had: apt's words).
Result<Fetched> fetch_corpus(Files& files,
                             const KnownCorpus& corpus,
                             const Path& out,
                             const FetchOptions& options,
                             const ProgramRunner& run,
                             const ProgressSink& progress);

}  // namespace ration::data
