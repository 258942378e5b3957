#include "data/scan.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/hash.h"
#include "base/parallel.h"
#include "data/unpack.h"

namespace ration::data {
namespace {

constexpr std::uint64_t kUnitBytes = std::uint64_t{1} << 20;
constexpr std::size_t kUnitFiles = 256;
constexpr double kMemoryPerByte = 3;  // a file's bytes, its text, the text before it

struct ListedFile {
  std::string path;
  std::uint64_t bytes = 0;  // on the disk
};

// Whole files, or a block of one file of several documents.
struct ScanUnit {
  std::vector<std::size_t> files;
  RecordRule::Kind kind = RecordRule::Kind::whole;
  Block block;
  std::uint64_t bytes = 0;         // on the disk, for the progress
  std::optional<SkipReason> lost;  // the file cannot be read on; its documents do not count
};

using Digest = std::array<char, 64>;  // in hex

struct Found {
  std::size_t file;
  Document document;
  Digest sha256;
};

struct ScannedUnit {
  std::vector<Found> found;
  std::vector<std::pair<SkippedFile, std::string>> skipped;  // with an excerpt
  std::vector<std::size_t> lost;                             // files
  RecordRule::Kind kind = RecordRule::Kind::whole;
  std::uint64_t bytes = 0;
};

// Hashes texts two at a time.
class Digests {
 public:
  explicit Digests(std::vector<Found>& found) : found_(found) {}

  // The text of the document that was found last.
  void add(std::string text) {
    const std::size_t at = found_.size() - 1;
    if (!waiting_) {
      waiting_.emplace(at, std::move(text));
      return;
    }
    const auto [first, second] = sha256_hex_of_both(waiting_->second, text);
    put(waiting_->first, first);
    put(at, second);
    waiting_.reset();
  }

  // To be called after the last.
  void finish() {
    if (waiting_) put(waiting_->first, sha256_hex(waiting_->second));
    waiting_.reset();
  }

 private:
  void put(std::size_t at, const std::string& digest) {
    std::copy(digest.begin(), digest.end(), found_[at].sha256.begin());
  }

  std::vector<Found>& found_;
  std::optional<std::pair<std::size_t, std::string>> waiting_;
};

class Scanner {
 public:
  Scanner(Files& files, Path folder, const TextRules& rules, std::vector<ListedFile> listed)
      : files_(files), folder_(std::move(folder)), rules_(rules), listed_(std::move(listed)) {}

  const std::vector<ListedFile>& listed() const { return listed_; }

  using Unit = std::optional<std::pair<ScanUnit, std::uint64_t>>;
  Result<Unit> next() {
    ScanUnit unit;
    while (at_ < listed_.size() && unit.bytes < kUnitBytes && unit.files.size() < kUnitFiles) {
      const ListedFile& file = listed_[at_];
      const RecordRule rule = rule_of(file.path, rules_);
      if (rule.kind != RecordRule::Kind::whole) {
        if (!unit.files.empty()) break;
        if (next_block(rule, unit)) break;
        continue;
      }
      if (!unit.files.empty() && unit.bytes + file.bytes > kUnitBytes) break;
      unit.files.push_back(at_++);
      unit.bytes += file.bytes;
    }
    if (unit.files.empty()) return Unit();
    const std::uint64_t held = std::max(unit.bytes, std::uint64_t{unit.block.bytes.size()});
    return Unit(
        std::pair(std::move(unit),
                  static_cast<std::uint64_t>(kMemoryPerByte * static_cast<double>(held)) + 4096));
  }

  Result<ScannedUnit> scan(ScanUnit&& unit) const {
    ScannedUnit result{.kind = unit.kind, .bytes = unit.bytes};
    result.found.reserve(std::max(unit.files.size(), unit.block.records.size()));
    Digests digests(result.found);
    if (unit.kind == RecordRule::Kind::whole)
      for (const std::size_t file : unit.files) scan_file(file, result, digests);
    else
      scan_block(unit, result, digests);
    digests.finish();
    return result;
  }

 private:
  // The next block of the file at_; false at its end, which moves on to the next file.
  bool next_block(const RecordRule& rule, ScanUnit& unit) {
    const ListedFile& file = listed_[at_];
    if (blocks_ == nullptr) {
      blocks_ = std::make_unique<BlockReader>(files_, folder_ / file.path, rule, kMaxDocumentBytes);
      read_ = 0;
    }
    Result<std::optional<Block>> block = blocks_->next();
    unit.files = {at_};
    unit.kind = rule.kind;
    if (block && block->has_value()) {
      unit.block = *std::move(*block);
      unit.bytes = unit.block.read - read_;
      read_ = unit.block.read;
      return true;
    }
    if (!block) unit.lost = reason_of_loss(folder_ / file.path);
    blocks_ = nullptr;
    ++at_;
    if (!unit.lost) unit = {};
    return unit.lost.has_value();
  }

  SkipReason reason_of_loss(const Path& path) const {
    const Result<std::string> start = files_.read_range(path, 0, 6);
    if (!start || !blocks_->damaged()) return SkipReason::unreadable;
    switch (packing_of(*start)) {
      case Packing::zstd:
        return SkipReason::damaged_zstd;
      case Packing::xz:
        return SkipReason::damaged_xz;
      default:
        return SkipReason::damaged_gzip;
    }
  }

  void scan_file(std::size_t file, ScannedUnit& result, Digests& digests) const {
    const auto& [path, bytes] = listed_[file];
    std::variant<std::string, SkipReason> text = SkipReason::too_large;
    if (bytes <= kMaxDocumentBytes) text = unpacked_text(files_, folder_ / path);
    if (const std::string* read = std::get_if<std::string>(&text))
      if (const auto reason = unusable(*read, least_bytes())) text = *reason;
    if (const auto* reason = std::get_if<SkipReason>(&text))
      result.skipped.push_back({{path, *reason}, ""});
    else
      add(file, 0, std::get<std::string>(std::move(text)), "", result, digests);
  }

  void scan_block(const ScanUnit& unit, ScannedUnit& result, Digests& digests) const {
    const std::size_t file = unit.files.front();
    const std::string& path = listed_[file].path;
    if (unit.lost) {
      result.skipped.push_back({{path, *unit.lost}, ""});
      result.lost.push_back(file);
    }
    for (const RecordSpan& span : unit.block.records) {
      const std::string_view bytes = std::string_view(unit.block.bytes).substr(span.at, span.size);
      auto read = span.too_large ? std::variant<RecordText, SkipReason>(SkipReason::too_large)
                                 : read_record(bytes, unit.kind, rules_);
      if (const auto* reason = std::get_if<SkipReason>(&read)) {
        const bool shown = *reason != SkipReason::binary && *reason != SkipReason::too_large;
        result.skipped.push_back({{document_label(path, span.number, ""), *reason},
                                  shown ? excerpt(bytes) : std::string()});
      } else {
        RecordText& record = std::get<RecordText>(read);
        add(file, span.number, std::move(record.text), record.id, result, digests);
      }
    }
  }

  void add(std::size_t file,
           std::uint64_t record,
           std::string text,
           std::string_view id,
           ScannedUnit& result,
           Digests& digests) const {
    Document document;
    document.check = crc32c(text);
    document.record = record;
    document.bytes = text.size();
    document.name_hash = name_hash(document_label(listed_[file].path, record, id));
    document.layout_free = layout_free_hash(text);
    result.found.push_back({.file = file, .document = document});
    digests.add(std::move(text));
  }

  std::uint64_t least_bytes() const {
    return static_cast<std::uint64_t>(rules_.min_document_bytes);
  }

  Files& files_;
  Path folder_;
  const TextRules& rules_;
  std::vector<ListedFile> listed_;
  std::size_t at_ = 0;
  std::unique_ptr<BlockReader> blocks_;
  std::uint64_t read_ = 0;
};

// Puts the units together in their order.
class Collector {
 public:
  Collector(Corpus& corpus, const std::vector<ListedFile>& listed)
      : corpus_(corpus), listed_(listed) {}

  void skip(SkippedFile skipped, std::string text) {
    Skips& skips = corpus_.skipped[skipped.reason];
    ++skips.count;
    if (skips.examples.size() < kExamples)
      skips.examples.push_back({std::move(skipped.path), std::move(text)});
  }

  void add(ScannedUnit&& unit) {
    for (auto& [skipped, text] : unit.skipped) skip(std::move(skipped), std::move(text));
    for (Found& found : unit.found) add(std::move(found), unit.kind);
    for (const std::size_t file : unit.lost) drop(file);
  }

  // Completes the last file.
  void finish() {
    if (!digests_) return;
    corpus_.sources.back().sha256 = digests_->hex();
    digests_.reset();
  }

 private:
  void add(Found&& found, RecordRule::Kind kind) {
    const bool records = kind != RecordRule::Kind::whole;
    if (!file_ || *file_ != found.file) {
      finish();
      file_ = found.file;
      corpus_.sources.push_back({.path = listed_[found.file].path});
      corpus_.kinds.push_back(kind);
      if (records) digests_.emplace();
    }
    SourceFile& source = corpus_.sources.back();
    source.bytes += found.document.bytes;
    const std::string_view digest(found.sha256.data(), found.sha256.size());
    if (records)
      digests_->update(std::string(digest) + "\n");
    else
      source.sha256 = digest;
    found.document.source = static_cast<std::uint32_t>(corpus_.sources.size() - 1);
    corpus_.documents.push_back(found.document);
  }

  void drop(std::size_t file) {
    if (!file_ || *file_ != file) return;
    while (!corpus_.documents.empty() &&
           corpus_.documents.back().source == corpus_.sources.size() - 1)
      corpus_.documents.pop_back();
    corpus_.sources.pop_back();
    corpus_.kinds.pop_back();
    digests_.reset();
    file_.reset();
  }

  Corpus& corpus_;
  const std::vector<ListedFile>& listed_;
  std::optional<std::size_t> file_;  // of sources.back()
  std::optional<Sha256> digests_;    // of the documents of a file of several
};

Error no_usable_text(const Path& text, const Corpus& corpus) {
  std::string reasons;
  for (const auto& [reason, skips] : corpus.skipped)
    reasons += fmt::format("{}{} {}", reasons.empty() ? ": " : ", ", skips.count, words_of(reason));
  return {.kind = ErrorKind::input,
          .what = fmt::format("no usable text in {}{}", text.string(), reasons),
          .hint =
              "documents are UTF-8 texts of at least 200 bytes (--min-bytes): files, plain or "
              "compressed, or the lines of .jsonl files (--text-field)"};
}

// A file alone is a text whose folder is the one it lies in.
Result<TextFiles> list_text(Path& text, const TextRules& rules) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(text, code)) return list_text_files(text);
  TextFiles found;
  found.paths.push_back(text.filename().string());
  if (rule_of(found.paths.front(), rules).kind == RecordRule::Kind::whole)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} is not a folder, and one file is one document", text.string()),
        .hint =
            "say where its documents end, such as --split-documents blank-lines, or "
            "name a folder with one file a document"};
  text = std::filesystem::absolute(text, code).parent_path();
  if (std::filesystem::exists(text / kFetchFile, code)) found.fetched.emplace_back(kFetchFile);
  return found;
}

}  // namespace

Result<Corpus> scan_text(Files& files,
                         const Path& text,
                         const TextRules& rules,
                         const Workforce& workforce,
                         const ProgressSink& progress) {
  Corpus corpus{.folder = text};
  Result<TextFiles> found = list_text(corpus.folder, rules);
  if (!found) return std::move(found).error();
  corpus.fetched = std::move(found->fetched);
  std::vector<ListedFile> listed;
  std::uint64_t total = 0;
  for (std::string& path : found->paths) listed.push_back({std::move(path)});
  parallel_for(listed.size(), static_cast<int>(workforce.threads), [&](std::size_t i) {
    listed[i].bytes = files.size(corpus.folder / listed[i].path).value_or(0);
  });
  for (const ListedFile& file : listed) total += file.bytes;
  Scanner scanner(files, corpus.folder, rules, std::move(listed));
  Collector collector(corpus, scanner.listed());
  for (SkippedFile& skipped : found->skipped) collector.skip(std::move(skipped), "");
  std::uint64_t done = 0;
  Result<void> scanned = in_order<ScanUnit, ScannedUnit>(
      workforce,
      [&] { return scanner.next(); },
      [&](ScanUnit&& unit) { return scanner.scan(std::move(unit)); },
      [&](ScannedUnit&& unit) {
        done += unit.bytes;
        collector.add(std::move(unit));
        if (progress) progress({"reading the text", done, total});
        return Result<void>();
      });
  if (!scanned) return std::move(scanned).error();
  collector.finish();
  if (corpus.documents.empty()) return no_usable_text(text, corpus);
  return corpus;
}

}  // namespace ration::data
