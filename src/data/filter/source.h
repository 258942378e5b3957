#pragma once

// A corpus as the filters see it: documents in a fixed order, the text of each on demand.
//
//   TextDocuments corpus({"first text", "second text"});
//   std::string buffer;
//   std::string_view text = corpus.text(1, buffer).value();
//
// A position of the corpus counts the bytes of all documents, one after the other.

#include <optional>
#include <vector>

#include "base/files.h"

namespace ration::data::filter {

// Bytes begin … end-1 of one document.
struct Span {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const Span&) const = default;
};

class DocumentSource {
 public:
  virtual ~DocumentSource() = default;

  virtual std::size_t size() const = 0;  // documents
  virtual std::uint64_t bytes(std::size_t document) const = 0;

  // The text: bytes(document) bytes, which hold until `buffer` changes (a source that has the text
  // in memory leaves it alone). Several threads may ask at once, each with its own buffer. Errors
  // (ErrorKind::input): it cannot be read, or is not what it was.
  virtual Result<std::string_view> text(std::size_t document, std::string& buffer) const = 0;

  // Where the document comes from ("books", "code"), for the shares kept; empty when there is but
  // one origin.
  virtual std::string_view origin(std::size_t document) const;

  // All documents without a gap, where the source has them so.
  virtual std::optional<std::string_view> contiguous() const;
};

// Bytes of all documents.
std::uint64_t total_bytes(const DocumentSource& source);

// SHA-256 of the number of documents, their lengths and their texts: the identity of a reference.
Result<std::string> digest_of(const DocumentSource& source);

// Documents in memory.
class TextDocuments final : public DocumentSource {
 public:
  // `origins`: one a document, or none.
  explicit TextDocuments(std::vector<std::string> texts, std::vector<std::string> origins = {});

  std::size_t size() const override { return texts_.size(); }
  std::uint64_t bytes(std::size_t document) const override { return texts_[document].size(); }
  Result<std::string_view> text(std::size_t document, std::string& buffer) const override;
  std::string_view origin(std::size_t document) const override;

 private:
  std::vector<std::string> texts_;
  std::vector<std::string> origins_;
};

// Documents one after the other in one mapped file: the system reads pages when they are looked at
// and forgets them when memory is short.
class MappedDocuments final : public DocumentSource {
 public:
  // `starts`: the byte at which each document starts, in order, then the number of bytes of the
  // file.
  MappedDocuments(std::unique_ptr<MappedFile> file, std::vector<std::uint64_t> starts);

  std::size_t size() const override { return starts_.size() - 1; }
  std::uint64_t bytes(std::size_t document) const override;
  Result<std::string_view> text(std::size_t document, std::string& buffer) const override;
  std::optional<std::string_view> contiguous() const override;

 private:
  std::unique_ptr<MappedFile> file_;
  std::vector<std::uint64_t> starts_;
};

// What is left of a source: some of its documents, with spans cut out of them.
class RemainingDocuments final : public DocumentSource {
 public:
  // All of `source`, which must outlive the object.
  explicit RemainingDocuments(const DocumentSource& source);

  std::size_t size() const override { return ids_.size(); }
  std::uint64_t bytes(std::size_t document) const override;
  Result<std::string_view> text(std::size_t document, std::string& buffer) const override;
  std::string_view origin(std::size_t document) const override;
  std::optional<std::string_view> contiguous() const override;

  // The number of a document in the source.
  std::size_t id(std::size_t document) const { return ids_[document]; }
  // What was cut out of it, as bytes of the source's text; ascending, apart.
  const std::vector<Span>& cuts(std::size_t document) const { return cuts_[document]; }
  // Spans of the remaining text as spans of the source's text; both ascending and apart. A span
  // that lies on both sides of an earlier cut covers it.
  std::vector<Span> in_source(std::size_t document, const std::vector<Span>& spans) const;

  // Cuts spans of the remaining text of one document.
  void cut(std::size_t document, const std::vector<Span>& spans);
  // Leaves out the documents with these numbers (ascending).
  void drop(const std::vector<std::size_t>& documents);

 private:
  const DocumentSource& source_;
  std::vector<std::size_t> ids_;
  std::vector<std::vector<Span>> cuts_;
};

}  // namespace ration::data::filter
