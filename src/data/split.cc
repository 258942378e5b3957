#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
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
  for (Document& document : documents)
    order.push_back({name_hash(document.source.path), &document});
  std::stable_sort(order.begin(), order.end(), [&](const Ranked& a, const Ranked& b) {
    const bool a_held = a.hash % one_in == 0;
    const bool b_held = b.hash % one_in == 0;
    return a_held != b_held ? a_held : a.hash < b.hash;
  });
  return order;
}

void mark_duplicates(std::span<Document> documents) {
  std::unordered_set<std::string_view> held_out;
  for (const Document& document : documents)
    if (document.source.use == "val") held_out.insert(document.normalised_digest);
  for (Document& document : documents)
    if (document.source.use == "train" && held_out.contains(document.normalised_digest))
      document.source.use = "duplicate";
}

}  // namespace

std::uint64_t name_hash(std::string_view path) {
  return std::stoull(sha256_hex(document_name(path)).substr(0, 16), nullptr, 16);
}

Result<void> split_documents(std::span<Document> documents, const SplitRule& rule) {
  if (documents.size() < 2)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} usable document is too few to hold one out", documents.size()),
        .hint =
            "every file is one document: cut the text into files (`split`, `csplit`), "
            "or give more"};
  const auto one_in = static_cast<std::uint64_t>(rule.one_in);
  std::int64_t held_bytes = 0;
  bool any = false;
  for (const Ranked& entry : ranked(documents, one_in)) {
    const bool hold = entry.hash % one_in == 0 || !any || held_bytes < rule.min_bytes;
    entry.document->source.use = hold ? "val" : "train";
    if (!hold) continue;
    any = true;
    held_bytes += static_cast<std::int64_t>(entry.document->source.bytes);
  }
  mark_duplicates(documents);
  const bool trains = std::any_of(documents.begin(), documents.end(), [](const Document& document) {
    return document.source.use == "train";
  });
  return trains ? Result<void>() : nothing_left(documents.size());
}

}  // namespace ration::data
