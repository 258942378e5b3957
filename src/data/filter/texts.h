#pragma once

// Work on the texts of many documents by several threads.

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/parallel.h"
#include "data/filter/source.h"

namespace ration::data::filter {

// Parts of documents begin … end-1 with about equal text; parts do not depend on threads.
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
};
std::vector<Part> parts_of(const DocumentSource& source, std::uint64_t part_bytes);

// The text of one document, of the length that the source promised.
Result<std::string_view> checked_text(const DocumentSource& source,
                                      std::size_t document,
                                      std::string& buffer);

// Calls work(document, text) for the documents of parts, in order within a part; of several errors
// seen, that of the lowest document comes back.
template <class Work>
Result<void> for_each_text(const DocumentSource& source,
                           const std::vector<Part>& parts,
                           int threads,
                           const Work& work) {
  std::mutex mutex;
  std::optional<std::pair<std::size_t, Error>> problem;
  std::atomic<bool> stop{false};
  parallel_for(parts.size(), threads, [&](std::size_t p) {
    std::string buffer;
    for (std::size_t i = parts[p].begin; i < parts[p].end && !stop; ++i) {
      Result<std::string_view> text = checked_text(source, i, buffer);
      if (!text) {
        const std::scoped_lock lock(mutex);
        stop = true;
        if (!problem || i < problem->first) problem = {i, std::move(text).error()};
        return;
      }
      work(i, *text);
    }
  });
  if (problem) return std::move(problem->second);
  return {};
}

// The same for all documents.
template <class Work>
Result<void> for_each_text(const DocumentSource& source, int threads, const Work& work) {
  return for_each_text(source, parts_of(source, std::uint64_t{1} << 20), threads, work);
}

// Writes texts one after the other into a file of the scratch folder, and maps it. One at a time in
// a process.
class TextSpool {
 public:
  // Errors (ErrorKind::resource): the disk is full, no permission.
  static Result<TextSpool> create(Files& files, const Path& scratch);

  Result<void> add(std::string_view text);
  // The file is already without a name then: it goes with the object.
  Result<MappedDocuments> finish() &&;
  TextSpool(TextSpool&&) noexcept = default;
  TextSpool& operator=(TextSpool&&) = delete;
  ~TextSpool();

 private:
  TextSpool(Files& files, Path path, std::unique_ptr<AppendFile> file);
  Result<void> write_pending();

  Files& files_;
  Path path_;
  std::unique_ptr<AppendFile> file_;  // null when finished
  std::string pending_;
  std::vector<std::uint64_t> starts_ = {0};
};

// All texts without a gap: the source's own memory, a copy, or a mapped file in the scratch folder
// (already without a name there: it goes with the object).
class WholeText {
 public:
  // Copies into memory when the copy takes at most `in_memory` bytes. Errors (ErrorKind::resource):
  // no scratch folder where one is needed, or a full disk; those of the source.
  static Result<WholeText> of(const DocumentSource& source,
                              const Path& scratch,
                              std::uint64_t in_memory);

  std::string_view text() const { return text_; }
  std::size_t documents() const { return starts_.size() - 1; }
  std::uint64_t start(std::size_t document) const { return starts_[document]; }
  std::uint64_t end(std::size_t document) const { return starts_[document + 1]; }
  std::size_t document_at(std::uint64_t position) const;
  std::uint64_t memory_bytes() const;  // of the copy and the starts

 private:
  std::unique_ptr<char[]> copy_;
  std::optional<MappedDocuments> spooled_;
  std::string_view text_;
  std::vector<std::uint64_t> starts_;
};

}  // namespace ration::data::filter
