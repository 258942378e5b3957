#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "data/text_folder.h"

namespace ration::data {
namespace {

struct Ranked {
  std::uint64_t hash;
  Document* document;
};

Error nothing_left(std::size_t documents) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("holding documents out of {} usable ones leaves none to train on",
                              documents),
          .hint = "hold out fewer (--held-out, --held-out-bytes), or give more text"};
}

// All documents in the order in which they are held out: those of the rule first, then by hash.
std::vector<Ranked> ranked(std::span<Document> documents, std::uint64_t one_in) {
  std::vector<Ranked> order;
  order.reserve(documents.size());
  for (Document& document : documents) order.push_back({document.name_hash, &document});
  std::stable_sort(order.begin(), order.end(), [&](const Ranked& a, const Ranked& b) {
    const bool a_held = a.hash % one_in == 0;
    const bool b_held = b.hash % one_in == 0;
    return a_held != b_held ? a_held : a.hash < b.hash;
  });
  return order;
}

}  // namespace

Result<void> split_documents(std::span<Document> documents, const SplitRule& rule) {
  if (documents.size() < 2)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} usable document is too few to hold one out", documents.size()),
        .hint =
            "give more text, or say where the documents of a file end, such as "
            "--split-documents blank-lines"};
  const auto one_in = static_cast<std::uint64_t>(rule.one_in);
  std::int64_t held_bytes = 0;
  bool any = false;
  for (const Ranked& entry : ranked(documents, one_in)) {
    const bool hold = entry.hash % one_in == 0 || !any || held_bytes < rule.min_bytes;
    entry.document->use = hold ? Use::val : Use::train;
    if (!hold) continue;
    any = true;
    held_bytes += static_cast<std::int64_t>(entry.document->bytes);
  }
  return check_something_trains(documents);
}

Result<std::vector<Duplicate>> find_duplicates(const TextReader& reader) {
  const std::vector<Document>& documents = reader.corpus.documents;
  std::unordered_set<std::uint64_t> held_out;
  for (const Document& document : documents)
    if (document.use == Use::val) held_out.insert(document.layout_free);
  std::unordered_set<std::uint64_t> shared;
  for (const Document& document : documents)
    if (document.use == Use::train && held_out.contains(document.layout_free))
      shared.insert(document.layout_free);
  if (shared.empty()) return std::vector<Duplicate>();

  using Digests = std::vector<std::pair<std::size_t, std::string>>;
  std::unordered_map<std::string, std::size_t> held_out_digests;
  Digests candidates;
  Result<void> done = for_each_text<Digests>(
      reader,
      [&](std::size_t index) { return shared.contains(documents[index].layout_free); },
      [](std::vector<DocumentText>&& texts) {
        Digests digests;
        for (const DocumentText& one : texts)
          digests.emplace_back(one.index, sha256_hex(normalised(one.text)));
        return Result<Digests>(std::move(digests));
      },
      [&](Digests&& digests) {
        for (auto& [index, digest] : digests) {
          if (documents[index].use == Use::val)
            held_out_digests.emplace(std::move(digest), index);
          else
            candidates.emplace_back(index, std::move(digest));
        }
        return Result<void>();
      });
  if (!done) return std::move(done).error();
  std::vector<Duplicate> duplicates;
  for (const auto& [index, digest] : candidates)
    if (const auto found = held_out_digests.find(digest); found != held_out_digests.end())
      duplicates.push_back({index, found->second});
  return duplicates;
}

Result<void> check_something_trains(std::span<const Document> documents) {
  const bool trains = std::any_of(documents.begin(), documents.end(), [](const Document& document) {
    return document.use == Use::train;
  });
  return trains ? Result<void>() : nothing_left(documents.size());
}

}  // namespace ration::data
