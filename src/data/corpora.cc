#include "data/corpora.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/hash.h"
#include "base/parallel.h"
#include "data/output_folder.h"
#include "data/records.h"
#include "data/unpack.h"

namespace ration::data {
namespace {

namespace fs = std::filesystem;

constexpr double kDownloadSeconds = 1800;
constexpr double kQuerySeconds = 60;
constexpr std::uint64_t kLargestFile = std::uint64_t{256} << 20;

const std::vector<KnownCorpus>& table() {
  static const std::vector<KnownCorpus> corpora = {
      {.name = "licences",
       .about = "texts of free software licences",
       .package = "base-files",
       .version = "12.4+deb12u11",
       .licence = "verbatim copying allowed",
       .folder = "usr/share/common-licenses",
       .installed = true,
       .files = 14,
       .bytes = 237'320,
       .sha256 = "e702fc128a22ec5f"},
      {.name = "policy",
       .about = "the Debian policy manual, one text of a book's size",
       .package = "debian-policy",
       .version = "4.6.2.0",
       .licence = "GPL-2+",
       .folder = "usr/share/doc/debian-policy",
       .endings = {"policy.txt"},
       .files = 1,
       .bytes = 479'229,
       .sha256 = "89dba06600463ed8"},
      {.name = "perlpod",
       .about = "Perl's manual, technical English",
       .package = "perl-doc",
       .version = "5.36.0-7+deb12u4",
       .licence = "GPL-1+ or Artistic",
       .folder = "usr/share/perl",
       .endings = {".pod"},
       .files = 206,
       .bytes = 8'774'928,
       .sha256 = "6ffd305190cf43f5"},
      {.name = "kernel",
       .about = "the documentation of Linux, technical English",
       .package = "linux-doc-6.1",
       .version = "6.1.192-2",
       .licence = "GPL-2",
       .folder = "usr/share/doc/linux-doc-6.1/Documentation",
       .endings = {".rst"},
       .without = "translations",
       .files = 2'841,
       .bytes = 21'372'070,
       .sha256 = "8a54163aeab49841"},
      {.name = "dictionary",
       .about = "a dictionary of English, a document an entry",
       .package = "dict-gcide",
       .version = "0.48.5+nmu2",
       .licence = "GPL-2+",
       .folder = "usr/share/dictd",
       .endings = {"gcide.dict.dz"},
       .entries = true,
       .files = 1,
       .bytes = 39'952'321,
       .sha256 = "802beb667e1fb666"},
      {.name = "essays",
       .about = "long political essays (an anarchist FAQ)",
       .package = "anarchism",
       .version = "15.3-3",
       .licence = "GPL-2",
       .folder = "usr/share/doc/anarchism/markdown",
       .endings = {".md"},
       .files = 143,
       .bytes = 11'684'875,
       .sha256 = "57840d269af64eff"},
      {.name = "pystd",
       .about = "Python's standard library, code; as installed, or its main package",
       .package = "libpython3.11-stdlib",
       .version = "3.11.2-6+deb12u6",
       .licence = "PSF",
       .folder = "usr/lib/python3.11",
       .endings = {".py"},
       .installed = true,
       .files = 666,
       .bytes = 11'230'572,
       .sha256 = "79c30946aa2eeab0"},
      {.name = "perlmod",
       .about = "Perl's modules, code with its manual pages",
       .package = "perl-modules-5.36",
       .version = "5.36.0-7+deb12u4",
       .licence = "GPL-1+ or Artistic",
       .folder = "usr/share/perl",
       .endings = {".pm"},
       .files = 518,
       .bytes = 9'758'880,
       .sha256 = "8ed40bd3d6a1c06e"},
      {.name = "boost",
       .about = "the headers of Boost, C++ code",
       .package = "libboost1.74-dev",
       .version = "1.74.0+ds1-21",
       .licence = "BSL-1.0",
       .folder = "usr/include/boost",
       .endings = {".hpp"},
       .installed = true,
       .files = 13'933,
       .bytes = 128'515'945,
       .sha256 = "44191c373761fad2"},
  };
  return corpora;
}

// An ending with a dot in front is one of names, any other is a whole name.
bool taken(const KnownCorpus& corpus, const std::string& path) {
  if (corpus.endings.empty()) return true;
  const std::string name = Path(document_name(path)).filename().string();
  return std::any_of(corpus.endings.begin(), corpus.endings.end(), [&](std::string_view ending) {
    return ending.starts_with('.') ? name.ends_with(ending) : name == ending;
  });
}

bool left_out(const KnownCorpus& corpus, const Path& path) {
  return !corpus.without.empty() &&
         std::find(path.begin(), path.end(), Path(corpus.without)) != path.end();
}

// The corpus's files below `folder`, in the byte order of their paths; links are left out.
Result<std::vector<std::string>> list_files(const KnownCorpus& corpus, const Path& folder) {
  std::vector<std::string> paths;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    std::error_code ignored;
    const Path path = entry->path().lexically_relative(folder);
    if (entry->is_symlink(ignored) || !entry->is_regular_file(ignored)) continue;
    if (taken(corpus, path.generic_string()) && !left_out(corpus, path))
      paths.push_back(path.generic_string());
  }
  if (code) return system_error("list", folder, code.value());
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<std::string> read_unpacked(Files& files, const Path& path) {
  Result<std::string> bytes = files.read(path);
  if (!bytes) return bytes;
  const Packing packing = packing_of(*bytes);
  if (packing == Packing::none) return bytes;
  Unpacked text = unpack(*bytes, packing, kLargestFile);
  if (text.problem == UnpackProblem::none) return std::move(text.bytes);
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} cannot be unpacked", path.string()),
               .hint = "fetch the package again"};
}

// Puts paragraphs together to entries, one JSON line each.
class EntryLines {
 public:
  // An entry begins with its headword, at the start of a line; what is indented belongs to it.
  void add(std::string_view paragraph) {
    if (!entry_.empty() && paragraph.starts_with(' ')) {
      entry_ += "\n\n";
    } else {
      finish();
    }
    entry_ += paragraph;
  }

  void finish() {
    if (entry_.empty()) return;
    if (is_utf8(entry_))
      lines_ += Json{{"id", ++entries_}, {"text", entry_}}.dump() + "\n";
    else
      ++not_utf8_;
    entry_.clear();
  }

  const std::string& lines() const { return lines_; }
  std::int64_t not_utf8() const { return not_utf8_; }

 private:
  std::string entry_;
  std::string lines_;
  std::int64_t entries_ = 0;
  std::int64_t not_utf8_ = 0;
};

Result<std::string> entry_lines(Files& files, const Path& packed, std::int64_t& not_utf8) {
  BlockReader reader(files, packed, {.kind = RecordRule::Kind::blank_lines}, kLargestFile);
  EntryLines entries;
  while (true) {
    Result<std::optional<Block>> block = reader.next();
    if (!block) return std::move(block).error();
    if (!block->has_value()) break;
    for (const RecordSpan& span : (*block)->records)
      entries.add(std::string_view((*block)->bytes).substr(span.at, span.size));
  }
  entries.finish();
  not_utf8 += entries.not_utf8();
  return entries.lines();
}

struct Place {
  Path root;  // of the package's files
  std::string version;
};

// Downloads the package into `scratch` and unpacks it there.
Result<Place> unpacked_package(Files& files,
                               const KnownCorpus& corpus,
                               const Path& scratch,
                               const ProgramRunner& run,
                               const ProgressSink& progress) {
  const std::string package(corpus.package);
  if (progress) progress({"downloading", 0, 0});
  if (auto done = files.make_folders(scratch / "root"); !done) return std::move(done).error();
  Result<std::string> got =
      run({"env", "-C", scratch.string(), "apt-get", "download", "-q", package}, kDownloadSeconds);
  if (!got) return std::move(got).error().with_context("while downloading " + package);
  const Result<std::vector<std::string>> names = files.list(scratch);
  if (!names) return names.error();
  const auto file = std::find_if(
      names->begin(), names->end(), [](const std::string& name) { return name.ends_with(".deb"); });
  if (file == names->end())
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("apt-get download {} left no package", package),
                 .hint = "run `apt-get update`, then repeat the command"};
  const std::string deb = (scratch / *file).string();
  if (progress) progress({"unpacking", 0, 0});
  Result<std::string> version = run({"dpkg-deb", "-f", deb, "Version"}, kQuerySeconds);
  if (!version) return std::move(version).error();
  Result<std::string> done =
      run({"dpkg-deb", "-x", deb, (scratch / "root").string()}, kDownloadSeconds);
  if (!done) return std::move(done).error().with_context("while unpacking " + package);
  version->erase(version->find_last_not_of("\n ") + 1);
  return Place{scratch / "root", *version};
}

Result<Place> installed_package(const KnownCorpus& corpus,
                                const Path& system,
                                const ProgramRunner& run) {
  Result<std::string> version =
      run({"dpkg-query", "-W", "-f", "${Version}", std::string(corpus.package)}, kQuerySeconds);
  return Place{system, version ? *version : "installed, version unknown"};
}

// Waits for the disk with many files at once: one after the other, ten thousand take minutes.
Result<void> sync_all(Files& files, const std::vector<Path>& paths) {
  constexpr int kAtOnce = 32;
  std::vector<Result<void>> done(paths.size());
  parallel_for(paths.size(), kAtOnce, [&](std::size_t i) { done[i] = files.sync(paths[i]); });
  for (Result<void>& one : done)
    if (!one) return std::move(one);
  return {};
}

// Copies the text from `place` into `folder` and says what it is.
Result<Fetched> copy_text(Files& files,
                          const KnownCorpus& corpus,
                          const Place& place,
                          const Path& folder,
                          const ProgressSink& progress) {
  Fetched fetched{.corpus = {.name = std::string(corpus.name),
                             .package = std::string(corpus.package),
                             .version = place.version,
                             .licence = std::string(corpus.licence),
                             .known_sha256 = std::string(corpus.sha256)}};
  const Path root = place.root / corpus.folder;
  const Result<std::vector<std::string>> paths = list_files(corpus, root);
  if (!paths) return paths.error();
  if (paths->empty())
    return Error{
        .kind = ErrorKind::resource,
        .what = fmt::format(
            "{} {} holds no such text in {}", corpus.package, place.version, corpus.folder),
        .hint = "the package has changed; name its text folder to `ration data prepare`"};
  Sha256 hash;
  Json names = Json::array();
  std::vector<Path> copies;
  for (std::size_t i = 0; i < paths->size(); ++i) {
    const std::string& path = (*paths)[i];
    Result<std::string> text = read_unpacked(files, root / path);
    if (!text) return std::move(text).error();
    hash.update(std::string_view(*text));
    fetched.corpus.bytes += text->size();
    names.push_back(path);
    Path target = folder / document_name(path);
    if (corpus.entries) {
      Result<std::string> lines = entry_lines(files, root / path, fetched.left_out);
      if (!lines) return std::move(lines).error();
      text = *std::move(lines);
      target = folder / fmt::format("{}.jsonl", corpus.name);
    }
    if (auto done = files.make_folders(target.parent_path()); !done) return std::move(done).error();
    Result<std::unique_ptr<AppendFile>> copy = files.open_append(target);
    if (!copy) return std::move(copy).error();
    if (auto done = (*copy)->append(*text); !done) return std::move(done).error();
    copies.push_back(std::move(target));
    if (progress) progress({"copying the text", i + 1, paths->size()});
  }
  if (auto done = sync_all(files, copies); !done) return std::move(done).error();
  fetched.corpus.files = paths->size();
  fetched.corpus.sha256 = hash.hex();
  Json document = to_json(fetched.corpus);
  document["schema"] = "ration.fetch/1";
  document["folder"] = corpus.folder;
  document["paths"] = std::move(names);
  Result<std::string> text = canonical_json(document);
  if (!text) return std::move(text).error();
  if (auto done = files.write_whole(folder / kFetchFile, *text + "\n"); !done)
    return std::move(done).error();
  return fetched;
}

// What <out>/<name> holds already, if it is this corpus.
Result<std::optional<Fetched>> there_already(Files& files,
                                             const KnownCorpus& corpus,
                                             const Path& folder,
                                             bool replace) {
  if (!files.exists(folder)) return std::optional<Fetched>();
  const Corpus text{.folder = folder, .fetched = {std::string(kFetchFile)}};
  Result<Json> known =
      files.exists(folder / kFetchFile) ? read_corpora(files, text) : Result<Json>(Json::array());
  if (known && known->size() == 1 && known->front().value("name", "") == corpus.name) {
    if (replace) return std::optional<Fetched>();
    Manifest carrier;
    carrier.provenance["corpora"] = *known;
    return std::optional(
        Fetched{.corpus = corpora_of(carrier).front(), .folder = folder, .there_already = true});
  }
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format("{} exists and is not a fetched {}", folder.string(), corpus.name),
      .hint = "choose another folder with -o"};
}

}  // namespace

std::span<const KnownCorpus> known_corpora() { return table(); }

const KnownCorpus* find_corpus(std::string_view name) {
  for (const KnownCorpus& corpus : table())
    if (corpus.name == name) return &corpus;
  return nullptr;
}

Result<Fetched> fetch_corpus(Files& files,
                             const KnownCorpus& corpus,
                             const Path& out,
                             const FetchOptions& options,
                             const ProgramRunner& run,
                             const ProgressSink& progress) {
  std::error_code code;
  const Path folder = fs::absolute(out, code) / corpus.name;
  if (auto done = OutputFolder::recover(files, folder); !done) return std::move(done).error();
  Result<std::optional<Fetched>> there = there_already(files, corpus, folder, options.replace);
  if (!there) return std::move(there).error();
  if (there->has_value()) return **std::move(there);
  Result<OutputFolder> output = OutputFolder::claim(files, folder);
  if (!output) return std::move(output).error();
  if (auto done = output->clear(); !done) return std::move(done).error();
  const Path scratch = output->temporary() / ".package";
  const bool installed = corpus.installed && fs::is_directory(options.system / corpus.folder, code);
  Result<Place> place = installed ? installed_package(corpus, options.system, run)
                                  : unpacked_package(files, corpus, scratch, run, progress);
  if (!place) return std::move(place).error();
  Result<Fetched> fetched = copy_text(files, corpus, *place, output->temporary(), progress);
  if (!fetched) return fetched;
  if (auto done = files.remove_all(scratch); !done) return std::move(done).error();
  if (auto done = output->publish(); !done) return std::move(done).error();
  fetched->folder = folder;
  return fetched;
}

}  // namespace ration::data
