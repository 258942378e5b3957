#include "git/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/fault.h"
#include "base/text.h"
#include "git/attributes_file.h"
#include "git/import_paths.h"
#include "git/import_stream.h"
#include "git/workshop.h"
#include "versions/hold.h"

namespace ration::git {
namespace {

constexpr double kDay = 86400;  // for git, over a long history
constexpr std::string_view kAttributes = ".gitattributes";
constexpr std::size_t kShown = 20;

bool is_attributes(std::string_view path) {
  return path == kAttributes || path.ends_with("/.gitattributes");
}

// What history holds, by the names that it gives to things.
struct History {
  std::unique_ptr<MappedFile> text;  // as git exported it
  std::uint64_t commits = 0;
  std::uint64_t last_mark = 0;
  std::vector<std::pair<std::string, std::string>> files;       // path, blob; the oldest first
  std::vector<std::pair<std::string, std::string>> attributes;  // of .gitattributes

  std::string_view stream() const {
    const std::span<const std::byte> bytes = text->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

class Import {
 public:
  Import(Repository& repository,
         const ImportOptions& options,
         const ImportProgress& progress,
         Workshop workshop)
      : repository_(repository),
        options_(options),
        progress_(progress),
        workshop_(std::move(workshop)),
        content_(repository, workshop_.folder() / "content") {}

  Result<ImportReport> run(std::vector<ImportedRef> refs) {
    report_.refs = std::move(refs);
    for (const auto step : {&Import::export_history,
                            &Import::read_history,
                            &Import::match,
                            &Import::count_signatures,
                            &Import::look_at_contents})
      if (Result<void> done = (this->*step)(); !done) return std::move(done).error();
    const bool nothing = report_.plain.contents + report_.pointers.contents == 0;
    if (options_.dry_run || nothing) return std::move(report_);
    for (const auto step :
         {&Import::write_stream, &Import::read_stream, &Import::check_tips, &Import::move})
      if (Result<void> done = (this->*step)(); !done) return std::move(done).error();
    return std::move(report_);
  }

 private:
  Result<void> export_history();
  Result<void> read_history();
  Result<void> match();
  Result<void> count_signatures();
  Result<void> look_at_contents();
  Result<void> convert_contents(StreamFile& stream);
  Result<void> convert_attributes(StreamFile& stream);
  Result<void> write_stream();
  Result<void> read_stream();
  Result<void> check_tips();
  Result<void> move();

  Result<std::string> to_file(std::vector<std::string> words, const char* name) const;
  std::string new_content(const StreamPart& part) const;

  Repository& repository_;
  const ImportOptions& options_;
  const ImportProgress& progress_;
  Workshop workshop_;
  ContentImport content_;
  ImportReport report_;
  History history_;
  PathSet matching_;                                                 // paths
  std::vector<OldContent> contents_;                                 // the oldest first
  std::unordered_map<std::string, std::string> mark_of_content_;     // by blob
  std::unordered_map<std::string, std::string> mark_of_attributes_;  // by path and blob
  std::string default_attributes_;                                   // a mark
  std::map<std::string, std::string> new_ids_;                       // of refs
};

// Runs `git WORD…` over the refs; what it prints goes into a file of the workshop, what it says is
// returned.
Result<std::string> Import::to_file(std::vector<std::string> words, const char* name) const {
  const std::string typed = fmt::format("git {}", words.front());
  words.insert(words.begin(), "git");
  std::string names;
  for (const ImportedRef& ref : report_.refs) names += ref.name + "\n";
  Result<Answer> answer =
      call(words,
           kDay,
           {.folder = repository_.folder(), .input = names, .output = workshop_.folder() / name});
  if (!answer) return std::move(answer).error();
  if (!answer->ok())
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("`{}` failed: {}", typed, answer->words()),
                 .hint = "`git fsck` tells whether the repository is whole"};
  return std::move(answer->err);
}

Result<void> Import::export_history() {
  Result<std::string> said = to_file({"fast-export",
                                      "--no-data",
                                      "--signed-tags=warn-strip",
                                      "--reencode=no",
                                      "--mark-tags",
                                      "--stdin"},
                                     "export");
  if (!said) return std::move(said).error();
  constexpr std::string_view kStripped = "stripping signature";
  for (std::size_t at = said->find(kStripped); at != std::string::npos;
       at = said->find(kStripped, at + 1))
    ++report_.signatures;
  Result<std::unique_ptr<MappedFile>> mapped = real_files().map(workshop_.folder() / "export");
  if (!mapped) return std::move(mapped).error();
  history_.text = std::move(*mapped);
  return {};
}

Result<void> Import::read_history() {
  StreamReader reader(history_.stream());
  std::unordered_set<std::string> seen;
  for (;;) {
    const Result<StreamPart> part = reader.next();
    if (!part) return part.error();
    if (part->kind == StreamPart::Kind::end) return {};
    if (part->kind == StreamPart::Kind::commit) ++report_.commits;
    history_.last_mark = std::max(history_.last_mark, part->mark);
    if (!part->regular() || !seen.insert(part->path + '\0' + std::string(part->blob)).second)
      continue;
    auto& list = is_attributes(part->path) ? history_.attributes : history_.files;
    list.emplace_back(part->path, part->blob);
  }
}

Result<void> Import::match() {
  std::vector<std::string> paths;
  PathSet seen;
  for (const auto& [path, blob] : history_.files)
    if (seen.insert(path).second) paths.push_back(path);
  Result<PathSet> matching = matching_paths(workshop_, options_.patterns, paths);
  if (!matching) return std::move(matching).error();
  matching_ = std::move(*matching);
  report_.files = matching_.size();
  return is_checked_out(repository_, report_.refs) ? check_no_other_filter(repository_, matching_)
                                                   : Result<void>();
}

// Of commits; those of tags were counted when they were left out.
Result<void> Import::count_signatures() {
  Result<std::string> said = to_file({"rev-list", "--header", "--stdin"}, "headers");
  if (!said) return std::move(said).error();
  Result<std::unique_ptr<MappedFile>> mapped = real_files().map(workshop_.folder() / "headers");
  if (!mapped) return std::move(mapped).error();
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // Lines of messages are indented.
  constexpr std::string_view kSignature = "\ngpgsig";
  for (std::size_t at = text.find(kSignature); at != std::string_view::npos;
       at = text.find(kSignature, at + 1))
    ++report_.signatures;
  return {};
}

Error missing_files(const std::vector<OldContent>& missing) {
  std::vector<Error> causes;
  for (const OldContent& content : missing)
    if (causes.size() < kShown)
      causes.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("{}: {} ({})",
                               content.path,
                               content.pointer.oid,
                               format_quantity(static_cast<double>(content.bytes), "B"))});
  return {.kind = ErrorKind::input,
          .what = fmt::format("git-lfs has not the {} of {}, so that nothing was rewritten",
                              missing.size() == 1 ? "file" : "files",
                              counted(missing.size(), "pointer")),
          .hint = "get them with `git lfs fetch --all`, or keep these pointers with --skip-missing",
          .causes = std::move(causes)};
}

Result<void> Import::look_at_contents() {
  std::unordered_set<std::string> seen;
  for (const auto& [path, blob] : history_.files)
    if (matching_.contains(path) && seen.insert(blob).second)
      contents_.push_back({.blob = blob, .path = path});
  if (Result<void> done = classify(repository_, contents_); !done) return done;
  for (OldContent& content : contents_) {
    if (content.kind == OldContent::Kind::manifest) {
      ++report_.manifests;
      continue;
    }
    const bool pointer = content.kind == OldContent::Kind::pointer;
    ContentSum& sum = pointer ? report_.pointers : report_.plain;
    ++sum.contents;
    sum.bytes += content.bytes;
    if (!pointer) continue;
    const Result<bool> had = content_.have(content.pointer, !options_.dry_run);
    if (!had) return had.error();
    content.missing = !*had;
    if (content.missing) report_.missing.push_back(content);
  }
  if (report_.missing.empty() || options_.skip_missing || options_.dry_run) return {};
  return missing_files(report_.missing);
}

Result<void> Import::convert_contents(StreamFile& stream) {
  std::uint64_t done = 0;
  for (const OldContent& content : contents_) {
    if (progress_) progress_(done++, contents_.size(), content.path);
    Result<std::optional<std::string>> text = content_.convert(content);
    if (!text) return std::move(text).error();
    if (!*text) continue;
    Result<std::string> mark = stream.blob(**text);
    if (!mark) return std::move(mark).error();
    mark_of_content_.emplace(content.blob, std::move(*mark));
  }
  report_.new_objects = content_.new_objects();
  report_.new_bytes = content_.new_bytes();
  return {};
}

Result<void> Import::convert_attributes(StreamFile& stream) {
  const auto convert = [&](std::string_view text, std::string_view folder) -> Result<std::string> {
    Result<std::string> made = imported_attributes(text, folder, options_.patterns);
    return made ? stream.blob(*made) : std::move(made);
  };
  Result<std::string> mark = convert("", "");
  if (!mark) return std::move(mark).error();
  default_attributes_ = std::move(*mark);
  for (const auto& [path, blob] : history_.attributes) {
    Result<std::optional<std::string>> text = repository_.blob(blob);
    if (!text) return std::move(text).error();
    mark = convert(text->value_or(""), path.substr(0, path.size() - kAttributes.size()));
    if (!mark) return std::move(mark).error();
    mark_of_attributes_.emplace(path + '\0' + blob, std::move(*mark));
  }
  return {};
}

std::string Import::new_content(const StreamPart& part) const {
  const std::string blob(part.blob);
  const bool attributes = is_attributes(part.path);
  const auto& marks = attributes ? mark_of_attributes_ : mark_of_content_;
  if (!attributes && !matching_.contains(part.path)) return "";
  const auto found = marks.find(attributes ? part.path + '\0' + blob : blob);
  return found == marks.end() ? "" : found->second;
}

Result<void> Import::write_stream() {
  Result<StreamFile> stream = StreamFile::create(workshop_.folder() / "stream");
  if (!stream) return std::move(stream).error();
  stream->set_last_mark(history_.last_mark);
  // `done` at the end makes git refuse a stream that was cut off.
  Result<void> done = stream->write("feature done\n");
  if (done) done = convert_contents(*stream);
  if (done) done = convert_attributes(*stream);
  if (done)
    done = rewrite_stream(history_.stream(),
                          {.content = [this](const StreamPart& part) { return new_content(part); },
                           .attributes = default_attributes_},
                          [&](std::string_view text) { return stream->write(text); });
  if (done) done = stream->write("done\n");
  return done ? stream->flush() : std::move(done);
}

// The objects go into the repository; the refs stay in the workshop.
Result<void> Import::read_stream() {
  fault_point("import-before-commits");
  Result<std::string> read =
      workshop_.ask_of_file({"fast-import", "--quiet", "--done", "--date-format=raw-permissive"},
                            workshop_.folder() / "stream");
  if (!read) return std::move(read).error();
  Result<std::string> listed =
      workshop_.ask({"for-each-ref", "--format=%(refname)%00%(objectname)%00"});
  if (!listed) return std::move(listed).error();
  // Lines end behind the second field.
  std::erase(*listed, '\n');
  const std::vector<std::string> fields = fields_of(*listed);
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) new_ids_[fields[i]] = fields[i + 1];
  for (const ImportedRef& ref : report_.refs)
    if (!new_ids_.contains(ref.name))
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format("git fast-import did not write {}", ref.name)};
  fault_point("import-after-commits");
  return {};
}

// Other lines may win over those of the import: in a .gitattributes further down, or by a macro.
Result<void> Import::check_tips() {
  std::unordered_set<std::string> trees;
  for (const auto& [name, id] : new_ids_) {
    Result<std::string> tree = workshop_.ask({"rev-parse", "--verify", id + "^{tree}"});
    if (!tree) return std::move(tree).error();
    if (!trees.insert(*tree).second) continue;
    if (Result<void> done = check_tree(workshop_, *tree, matching_); !done) return done;
  }
  return {};
}

Result<void> Import::move() {
  const bool checked_out = is_checked_out(repository_, report_.refs);
  if (Result<void> done = move_refs(repository_, report_.refs, new_ids_); !done) return done;
  report_.rewritten = true;
  fault_point("import-after-refs");
  if (!checked_out) return {};
  // Who has such a file may have the only copy of it.
  std::vector<std::string> leave;
  std::unordered_set<std::string> missing;
  for (const OldContent& content : report_.missing) missing.insert(content.blob);
  for (const auto& [path, blob] : history_.files)
    if (missing.contains(blob)) leave.push_back(path);
  return follow_head(repository_, leave);
}

}  // namespace

Result<ImportReport> import_history(Repository& repository,
                                    const ImportOptions& options,
                                    const ImportProgress& progress) {
  Result<std::vector<ImportedRef>> refs =
      refs_to_import(repository, options.refs, options.everything);
  if (!refs) return std::move(refs).error();
  if (refs->empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "there is no branch and no tag",
                 .hint = "commit something first"};
  if (!options.dry_run)
    if (Result<void> done = check_may_import(repository, *refs, options.force); !done)
      return std::move(done).error();
  Result<std::vector<std::string>> others = other_branches(repository, *refs);
  if (!others) return std::move(others).error();
  Workshop::remove_leftovers(repository);
  // What is stored must stay until commits name it.
  const versions::ObjectStore store = repository.store();
  Result<versions::Hold> hold = versions::Hold::to_add(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  Result<Workshop> workshop = Workshop::open(repository, Workshop::Objects::of_repository);
  if (!workshop) return std::move(workshop).error();
  Import import(repository, options, progress, std::move(*workshop));
  Result<ImportReport> report = import.run(std::move(*refs));
  if (report) report->others = std::move(*others);
  return report;
}

}  // namespace ration::git
