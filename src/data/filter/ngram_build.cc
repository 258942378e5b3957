#include <fmt/format.h>

#include <algorithm>

#include "data/filter/ngram.h"
#include "data/filter/report.h"

namespace ration::data::filter {

namespace {

constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

// D for counts of one, two, and more, out of how many n-grams have the counts one to four. Small
// references leave some of these empty or the estimate out of its range: then half of the count.
std::array<double, 3> discounts_of(const std::vector<std::uint32_t>& counts) {
  std::array<double, 5> n{};
  for (const std::uint32_t count : counts)
    if (count >= 1 && count <= 4) ++n[count];
  const double y = n[1] > 0 ? n[1] / (n[1] + 2 * n[2]) : 0;
  std::array<double, 3> out{};
  for (std::size_t k = 1; k <= 3; ++k) {
    const auto count = static_cast<double>(k);
    const double d = n[k] > 0 ? count - (count + 1) * y * n[k + 1] / n[k] : 0;
    out[k - 1] = y > 0 && d > 0 && d <= count ? d : count / 2;
  }
  return out;
}

double discount(const std::array<double, 3>& discounts, std::uint32_t count) {
  return count == 0 ? 0 : discounts[std::min<std::uint32_t>(count, 3) - 1];
}

// What follows a context.
struct Followers {
  std::uint64_t total = 0;
  std::array<std::uint32_t, 3> with_count{};  // tokens seen once, twice, more often

  void add(std::uint32_t count) {
    if (count == 0) return;
    total += count;
    ++with_count[std::min<std::uint32_t>(count, 3) - 1];
  }
  double backoff(const std::array<double, 3>& discounts) const {
    if (total == 0) return 1;
    double mass = 0;
    for (std::size_t k = 0; k < 3; ++k) mass += discounts[k] * with_count[k];
    return mass / static_cast<double>(total);
  }
};

}  // namespace

void NgramBuilder::add(std::span<const std::uint32_t> document) {
  text_.push_back(static_cast<std::uint32_t>(shape_.vocab));
  text_.insert(text_.end(), document.begin(), document.end());
  text_.push_back(shape_.end_token);
  ++documents_;
}

Result<NgramModel> NgramBuilder::build(std::uint64_t memory_bytes) && {
  using Entry = NgramModel::Entry;
  using Table = NgramModel::Table;
  const auto usage = [](std::string what) {
    return Error{ErrorKind::usage, std::move(what), "", {}, {}};
  };
  if (shape_.order < 1 || shape_.order > 8)
    return usage(fmt::format("n-grams of {} tokens: the order must be 1 … 8", shape_.order));
  if (shape_.vocab < 1 || shape_.vocab > (std::int64_t{1} << 31) ||
      shape_.end_token >= shape_.vocab)
    return usage(fmt::format("a vocabulary of {} ids with the end token {} cannot be modelled",
                             shape_.vocab,
                             shape_.end_token));
  const auto start = static_cast<std::uint32_t>(shape_.vocab);
  if (documents_ == 0)
    return Error{ErrorKind::input, "the reference has no document", "name a reference with text"};
  if (text_.size() >= NgramModel::kNone)
    return Error{ErrorKind::input,
                 "the reference has more than 2^32 - 2 tokens",
                 "use a part of it: more changes no ranking"};
  if (std::count_if(text_.begin(), text_.end(), [&](auto t) { return t > start; }) > 0 ||
      static_cast<std::uint64_t>(std::count(text_.begin(), text_.end(), start)) != documents_)
    return Error{ErrorKind::input,
                 fmt::format("the reference has ids outside the vocabulary of {}", shape_.vocab),
                 "tokenize the reference with the tokenizer of the vocabulary"};

  NgramModel model;
  model.shape_ = shape_;
  model.unigrams_.resize(start + std::size_t{1});
  const auto order = static_cast<std::size_t>(shape_.order);

  // Of the order in hand: where the n-gram that ends at i stands, and where each n-gram's suffix
  // stands in the order below.
  std::vector<std::uint32_t> places = text_;
  std::vector<std::uint32_t> suffixes;
  for (std::size_t n = 1; n <= order; ++n) {
    std::vector<Entry>& entries = n == 1 ? model.unigrams_ : model.tables_[n - 2].entries;

    // The table of the next order, and from it how many different tokens stand before each n-gram.
    std::vector<std::uint32_t> counts(entries.size());
    std::vector<std::uint32_t> next_places, next_suffixes;
    Table next;
    if (n < order) {
      std::vector<std::uint64_t> keys;
      keys.reserve(text_.size());
      std::size_t before = 0;  // tokens of the document before i
      for (std::size_t i = 0; i < text_.size(); ++i) {
        before = text_[i] == start ? 0 : before + 1;
        if (before >= n) keys.push_back(NgramModel::key_of(places[i - 1], text_[i]));
      }
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      std::size_t capacity = 16;
      while (static_cast<double>(capacity) * 0.7 < static_cast<double>(keys.size())) capacity *= 2;
      const std::uint64_t needed = model.memory_bytes() + capacity * (sizeof(Entry) + 8) +
                                   entries.size() * (8 + sizeof(Followers)) + text_.size() * 20;
      if (needed > memory_bytes) return needs_memory("perplexity", needed, memory_bytes);
      next.entries.assign(capacity, Entry{kEmpty, 0, 1});
      for (const std::uint64_t key : keys) next.insert(key);
      std::vector<std::uint64_t>().swap(keys);
      next_places.assign(text_.size(), NgramModel::kNone);
      next_suffixes.assign(capacity, NgramModel::kNone);
      before = 0;
      for (std::size_t i = 0; i < text_.size(); ++i) {
        before = text_[i] == start ? 0 : before + 1;
        if (before + 1 == n && before > 0) ++counts[places[i]];  // it begins a document
        if (before < n) continue;
        const std::uint32_t place = next.find(NgramModel::key_of(places[i - 1], text_[i]));
        next_places[i] = place;
        if (next_suffixes[place] == NgramModel::kNone) {
          next_suffixes[place] = places[i];
          ++counts[places[i]];
        }
      }
    } else {
      std::size_t before = 0;
      for (std::size_t i = 0; i < text_.size(); ++i) {
        before = text_[i] == start ? 0 : before + 1;
        if (before > 0 && before + 1 >= n) ++counts[places[i]];
      }
    }

    // Probabilities of this order, and the weights of the order below.
    const std::array<double, 3> discounts = discounts_of(counts);
    model.discounts_.push_back(discounts);
    if (n == 1) {
      Followers all;
      for (std::size_t w = 0; w < start; ++w) all.add(counts[w]);
      const double uniform = all.backoff(discounts) / static_cast<double>(shape_.vocab);
      for (std::size_t w = 0; w < start; ++w) {
        entries[w].key = counts[w];
        entries[w].probability =
            (counts[w] - discount(discounts, counts[w])) / static_cast<double>(all.total) + uniform;
      }
    } else {
      std::vector<Entry>& below = n == 2 ? model.unigrams_ : model.tables_[n - 3].entries;
      std::vector<Followers> followers(below.size());
      for (std::size_t at = 0; at < entries.size(); ++at)
        if (entries[at].key != kEmpty) followers[entries[at].key >> 32].add(counts[at]);
      for (std::size_t c = 0; c < below.size(); ++c)
        below[c].backoff = followers[c].backoff(discounts);
      for (std::size_t at = 0; at < entries.size(); ++at) {
        if (entries[at].key == kEmpty) continue;
        const std::size_t context = entries[at].key >> 32;
        entries[at].probability = (counts[at] - discount(discounts, counts[at])) /
                                      static_cast<double>(followers[context].total) +
                                  below[context].backoff * below[suffixes[at]].probability;
      }
    }
    if (n < order) model.tables_.push_back(std::move(next));
    places = std::move(next_places);
    suffixes = std::move(next_suffixes);
  }
  return model;
}

}  // namespace ration::data::filter
