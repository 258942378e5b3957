#include "data/filter/near.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "data/filter/band_table.h"
#include "data/filter/shingles.h"
#include "data/filter/texts.h"

namespace ration::data::filter {

namespace {

using Pair = std::pair<std::size_t, std::size_t>;

// Groups of documents; the lowest number stands for its group.
class Groups {
 public:
  explicit Groups(std::size_t size) : parent_(size) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  std::size_t of(std::size_t document) {
    while (parent_[document] != document) document = parent_[document] = parent_[parent_[document]];
    return document;
  }
  void join(std::size_t a, std::size_t b) {
    a = of(a);
    b = of(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

// Joins the documents of pairs whose shingle sets are similar enough. Pairs within one group need
// no look: they change no group, so the groups do not depend on the order of pairs.
class Verifier {
 public:
  Verifier(const DocumentSource& source, const NearOptions& options, const Resources& resources)
      : source_(source),
        options_(options),
        threads_(resources.threads),
        budget_(resources.memory_bytes / 4),
        groups(source.size()) {}

  Result<void> propose(std::size_t a, std::size_t b) {
    if (groups.of(a) == groups.of(b) || failed_.contains(key(a, b))) return {};
    waiting_.push_back({a, b});
    waiting_bytes_ += set_bytes(a) + set_bytes(b);
    if (waiting_bytes_ < budget_ && waiting_.size() < kMostWaiting) return {};
    return decide();
  }

  // Looks at all pairs proposed so far.
  Result<void> decide() {
    Result<void> loaded = load_sets();
    if (!loaded) return loaded;
    std::vector<char> similar(waiting_.size());
    parallel_for((waiting_.size() + 63) / 64, threads_, [&](std::size_t block) {
      for (std::size_t i = 64 * block; i < std::min(waiting_.size(), 64 * block + 64); ++i) {
        const auto& a = sets_.at(waiting_[i].first);
        const auto& b = sets_.at(waiting_[i].second);
        const auto [small, large] = std::minmax(a.size(), b.size());
        if (static_cast<double>(small) < options_.threshold * static_cast<double>(large)) continue;
        similar[i] = jaccard(a, b) >= options_.threshold;
      }
    });
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const auto [a, b] = waiting_[i];
      if (similar[i]) {
        groups.join(a, b);
      } else {
        if (failed_.size() * 48 > budget_) failed_.clear();  // costs a second look, nothing else
        failed_.insert(key(a, b));
      }
    }
    verified += waiting_.size();
    peak_bytes = std::max<std::uint64_t>(peak_bytes,
                                         sets_bytes_ + failed_.size() * 48 + waiting_.size() * 17);
    waiting_.clear();
    waiting_bytes_ = 0;
    return {};
  }

 private:
  static constexpr std::size_t kMostWaiting = 1 << 18;

  std::uint64_t key(std::size_t a, std::size_t b) const {
    return static_cast<std::uint64_t>(a) * source_.size() + b;
  }
  // A word takes six bytes or so, its shingle eight.
  std::uint64_t set_bytes(std::size_t document) const { return 2 * source_.bytes(document) + 64; }

  Result<void> load_sets() {
    std::vector<std::size_t> missing;
    for (const auto& [a, b] : waiting_)
      for (const std::size_t document : {a, b})
        if (!sets_.contains(document)) missing.push_back(document);
    std::sort(missing.begin(), missing.end());
    missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
    std::uint64_t more = 0;
    for (const std::size_t document : missing) more += set_bytes(document);
    if (sets_bytes_ + more > budget_) {
      sets_.clear();
      sets_bytes_ = 0;
      missing.clear();
      for (const auto& [a, b] : waiting_) missing.insert(missing.end(), {a, b});
      std::sort(missing.begin(), missing.end());
      missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
    }
    std::vector<Part> parts;
    for (const std::size_t document : missing) {
      parts.push_back({document, document + 1});
      sets_[document];  // the places exist before threads fill them
      sets_bytes_ += set_bytes(document);
    }
    return for_each_text(source_, parts, threads_, [&](std::size_t i, std::string_view text) {
      sets_.at(i) = shingle_set(text, options_.words);
    });
  }

  const DocumentSource& source_;
  const NearOptions& options_;
  int threads_;
  std::uint64_t budget_;
  std::vector<Pair> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::unordered_map<std::size_t, std::vector<std::uint64_t>> sets_;
  std::uint64_t sets_bytes_ = 0;
  std::unordered_set<std::uint64_t> failed_;

 public:
  Groups groups;
  std::uint64_t verified = 0;
  std::uint64_t peak_bytes = 0;
};

struct Counts {
  std::uint64_t shared = 0;     // buckets with several documents, over all bands
  std::uint64_t truncated = 0;  // of them, those above the limit
};

// Proposes the pairs of one band: first each document with the lowest of its bucket, which joins
// most of what belongs together, then the pairs that are still apart.
Result<void> propose_band(std::vector<BandEntry> entries,
                          const NearOptions& options,
                          Verifier& verifier,
                          Counts& counts) {
  std::sort(entries.begin(), entries.end());
  const auto for_each_bucket = [&](const auto& work) -> Result<void> {
    for (std::size_t first = 0, next = 0; first < entries.size(); first = next) {
      for (next = first + 1; next < entries.size() && entries[next].key == entries[first].key;)
        ++next;
      if (next - first < 2) continue;
      if (Result<void> done = work(first, next); !done) return done;
    }
    return verifier.decide();
  };
  Result<void> done = for_each_bucket([&](std::size_t first, std::size_t end) -> Result<void> {
    ++counts.shared;
    counts.truncated += end - first > options.bucket_limit;
    for (std::size_t i = first + 1; i < end; ++i)
      if (Result<void> p = verifier.propose(entries[first].document, entries[i].document); !p)
        return p;
    return {};
  });
  if (!done) return done;
  return for_each_bucket([&](std::size_t first, std::size_t end) -> Result<void> {
    if (end - first > options.bucket_limit) return {};
    for (std::size_t i = first + 1; i < end; ++i)
      for (std::size_t j = i + 1; j < end; ++j)
        if (Result<void> p = verifier.propose(entries[i].document, entries[j].document); !p)
          return p;
    return {};
  });
}

// Every document but the first of its group, with its similarity to that one.
Result<std::vector<Change>> changes_of(const DocumentSource& source,
                                       const NearOptions& options,
                                       int threads,
                                       Groups& groups) {
  std::vector<Change> changes;
  for (std::size_t i = 0; i < source.size(); ++i)
    if (groups.of(i) != i) changes.push_back({i, Verdict::drop, groups.of(i), 0, {}});
  std::vector<std::optional<Error>> problems(changes.size());
  parallel_for(changes.size(), threads, [&](std::size_t i) {
    std::string first_buffer, second_buffer;
    const auto first = checked_text(source, *changes[i].other, first_buffer);
    const auto second = checked_text(source, changes[i].document, second_buffer);
    if (first && second)
      changes[i].value =
          jaccard(shingle_set(*first, options.words), shingle_set(*second, options.words));
    else
      problems[i] = first ? second.error() : first.error();
  });
  for (std::optional<Error>& problem : problems)
    if (problem) return std::move(*problem);
  return changes;
}

}  // namespace

std::vector<Error> check(const NearOptions& options) {
  std::vector<Error> problems;
  const auto demand = [&](bool fine, std::string what) {
    if (!fine) problems.push_back({ErrorKind::usage, std::move(what), "", {}, {}});
  };
  demand(options.threshold > 0 && options.threshold <= 1,
         fmt::format("near: the similarity is {}, it must be above 0 and at most 1",
                     options.threshold));
  demand(options.words >= 1 && options.words <= 50,
         fmt::format("near: words is {}, it must be 1 … 50", options.words));
  demand(options.hashes >= 32 && options.hashes <= 1024 && options.hashes % 32 == 0,
         fmt::format("near: hashes is {}, it must be a multiple of 32, 32 … 1024", options.hashes));
  demand(options.recall > 0 && options.recall < 1,
         fmt::format("near: recall is {}, it must be above 0 and below 1", options.recall));
  demand(options.bucket_limit >= 2,
         fmt::format("near: bucket is {}, it must be 2 or more", options.bucket_limit));
  if (options.bands)
    demand(options.bands->bands >= 1 && options.bands->rows >= 1 &&
               std::int64_t{options.bands->bands} * options.bands->rows <= options.hashes,
           fmt::format("near: {}x{} bands need more than the {} hashes",
                       options.bands->bands,
                       options.bands->rows,
                       options.hashes));
  return problems;
}

Result<FilterReport> near_duplicates(const DocumentSource& source,
                                     const NearOptions& options,
                                     const Resources& resources) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the filter near cannot be used so");
  const Bands bands =
      options.bands.value_or(bands_for_recall(options.threshold, options.recall, options.hashes));

  Result<BandTable> table = BandTable::of(source, options, bands, resources);
  if (!table) return std::move(table).error();
  Verifier verifier(source, options, resources);
  Counts counts;
  for (int band = 0; band < bands.bands; ++band) {
    Result<std::vector<BandEntry>> entries = table->take(band);
    if (!entries) return std::move(entries).error();
    if (Result<void> done = propose_band(std::move(*entries), options, verifier, counts); !done)
      return std::move(done).error();
  }
  Result<std::vector<Change>> changes =
      changes_of(source, options, resources.threads, verifier.groups);
  if (!changes) return std::move(changes).error();

  FilterReport report;
  report.changes = std::move(*changes);
  report.peak_memory_bytes = table->peak_bytes() + verifier.peak_bytes;
  std::uint64_t chained = 0;
  std::unordered_map<std::size_t, std::uint64_t> sizes;
  for (const Change& change : report.changes) {
    chained += change.value < options.threshold;
    ++sizes[*change.other];
  }
  std::map<std::string, std::uint64_t> by_size;
  for (const auto& [first, more] : sizes) {
    const std::uint64_t size = more + 1;
    const char* bin = size == 2 ? "2" : size <= 4 ? "3-4" : size <= 16 ? "5-16" : "17 or more";
    ++by_size[bin];
  }
  report.record = {{"step", "near"},
                   {"version", 1},
                   {"threshold", options.threshold},
                   {"words", options.words},
                   {"hashes", options.hashes},
                   {"bands", bands.bands},
                   {"rows", bands.rows},
                   {"bucket_limit", options.bucket_limit},
                   {"seed", options.seed}};
  report.figures = {{"groups", sizes.size()},
                    {"groups_by_size", by_size},
                    {"pairs_compared", verifier.verified},
                    {"recall_at_threshold", candidate_probability(options.threshold, bands)},
                    {"dropped_below_threshold_of_kept", chained},
                    {"shared_bands", counts.shared},
                    {"shared_bands_above_limit", counts.truncated}};
  count_changes(source, report);
  return report;
}

}  // namespace ration::data::filter
