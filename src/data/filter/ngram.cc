#include "data/filter/ngram.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace ration::data::filter {

namespace {

constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

}  // namespace

std::uint32_t NgramModel::Table::find(std::uint64_t key) const {
  const std::uint64_t mask = entries.size() - 1;
  for (std::uint64_t at = mix(key) & mask;; at = (at + 1) & mask) {
    if (entries[at].key == key) return static_cast<std::uint32_t>(at);
    if (entries[at].key == kEmpty) return kNone;
  }
}

void NgramModel::Table::insert(std::uint64_t key) {
  const std::uint64_t mask = entries.size() - 1;
  std::uint64_t at = mix(key) & mask;
  while (entries[at].key != kEmpty) at = (at + 1) & mask;
  entries[at].key = key;
}

std::uint64_t NgramModel::Table::size() const {
  return static_cast<std::uint64_t>(std::count_if(
      entries.begin(), entries.end(), [](const Entry& entry) { return entry.key != kEmpty; }));
}

NgramModel::Contexts NgramModel::start() const {
  Contexts contexts;
  contexts.fill(kNone);
  contexts[0] = static_cast<std::uint32_t>(shape_.vocab);
  return contexts;
}

// An n-gram that the reference has brings all its suffixes along, and its contexts: the first that
// is missing ends the search, and the longer contexts give their weight to what was found.
double NgramModel::next(Contexts& contexts, std::uint32_t token) const {
  Contexts after;
  after.fill(kNone);
  after[0] = token;
  double p = unigrams_[token].probability;
  bool found = true;
  for (std::size_t k = 0; k < tables_.size() && contexts[k] != kNone; ++k) {
    const std::uint32_t place = found ? tables_[k].find(key_of(contexts[k], token)) : kNone;
    found = place != kNone;
    if (found) {
      p = tables_[k].entries[place].probability;
      if (k + 1 < tables_.size()) after[k + 1] = place;
    } else {
      p *= k == 0 ? unigrams_[contexts[0]].backoff : tables_[k - 1].entries[contexts[k]].backoff;
    }
  }
  contexts = after;
  return p;
}

double NgramModel::negative_log(std::span<const std::uint32_t> document) const {
  Contexts contexts = start();
  double sum = 0;
  for (const std::uint32_t token : document) sum -= std::log(next(contexts, token));
  return sum - std::log(next(contexts, shape_.end_token));
}

double NgramModel::probability(std::span<const std::uint32_t> history,
                               std::uint32_t token,
                               bool from_start) const {
  Contexts contexts = start();
  if (!from_start) contexts.fill(kNone);
  for (const std::uint32_t before : history) static_cast<void>(next(contexts, before));
  return next(contexts, token);
}

std::vector<std::uint64_t> NgramModel::sizes() const {
  std::vector<std::uint64_t> sizes{static_cast<std::uint64_t>(
      std::count_if(unigrams_.begin(), unigrams_.end(), [](const Entry& e) { return e.key > 0; }))};
  for (const Table& table : tables_) sizes.push_back(table.size());
  return sizes;
}

std::uint64_t NgramModel::memory_bytes() const {
  std::uint64_t entries = unigrams_.size();
  for (const Table& table : tables_) entries += table.entries.size();
  return entries * sizeof(Entry);
}

}  // namespace ration::data::filter
