#include "data/filter/against.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>

#include "base/random.h"
#include "data/filter/anchors.h"
#include "data/filter/repeats.h"
#include "data/filter/texts.h"

namespace ration::data::filter {

// The anchors of the held-out corpus, found by hash, and which of its bytes were met.
class HeldOutText::Index {
 public:
  Index(WholeText whole, std::uint64_t window, int threads)
      : whole_(std::move(whole)), window_(window), met_(whole_.text().size() / 64 + 1) {
    std::vector<std::vector<Anchor>> found(whole_.documents());
    parallel_for(whole_.documents(), threads, [&](std::size_t i) {
      for_each_anchor(text_of(i), window, whole_.start(i), [&](const Anchor& anchor) {
        found[i].push_back(anchor);
      });
    });
    for (std::vector<Anchor>& more : found) {
      anchors_.insert(anchors_.end(), more.begin(), more.end());
      std::vector<Anchor>().swap(more);
    }
    std::sort(anchors_.begin(), anchors_.end(), [](const Anchor& a, const Anchor& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.position < b.position;
    });
    drop_equal_surroundings();
    while (bucket_bits_ < 30 && (std::size_t{1} << bucket_bits_) < anchors_.size() * 4)
      ++bucket_bits_;
    seen_.resize((std::size_t{1} << bucket_bits_) / 64 + 1);
    for (const Anchor& anchor : anchors_) {
      const std::uint64_t at = place(anchor.hash);
      seen_[at / 64] |= std::uint64_t{1} << (at % 64);
    }
  }

  // What such an index of `bytes` bytes needs beside the text.
  static std::uint64_t memory_of(std::uint64_t bytes, std::uint64_t window) {
    return bytes * 6 / (window + 2) * (sizeof(Anchor) * 2 + 1) + bytes / 8;
  }

  Found find(std::string_view text) {
    Found out;
    const std::string_view reference = whole_.text();
    for_each_anchor(text, window_, 0, [&](const Anchor& a) {
      std::vector<Span> here;
      for (const Anchor& b : equal_to(a.hash)) {
        const EqualLeads leads =
            equal_windows(a, text.data() + a.position, b, reference.data() + b.position, window_);
        if (leads.none()) continue;
        here.push_back({a.position - leads.most, a.position - leads.least + window_});
        meet({b.position - leads.most, b.position - leads.least + window_});
        if (!out.other) out.other = whole_.document_at(b.position);
      }
      std::sort(
          here.begin(), here.end(), [](const Span& p, const Span& q) { return p.begin < q.begin; });
      for (const Span& span : here) {
        if (!out.spans.empty() && span.begin <= out.spans.back().end)
          out.spans.back().end = std::max(out.spans.back().end, span.end);
        else
          out.spans.push_back(span);
      }
    });
    return out;
  }

  const WholeText& whole() const { return whole_; }
  std::uint64_t window() const { return window_; }

  std::uint64_t bytes_met(std::uint64_t begin, std::uint64_t end) const {
    std::uint64_t sum = 0;
    for (std::uint64_t i = begin; i < end; ++i) sum += met_[i / 64].load() >> (i % 64) & 1;
    return sum;
  }

 private:
  std::string_view text_of(std::size_t i) const {
    return whole_.text().substr(whole_.start(i), whole_.end(i) - whole_.start(i));
  }
  std::uint64_t place(std::uint64_t hash) const { return mix(hash) >> (64 - bucket_bits_); }

  // The anchors of this hash; most that are not there are told from one bit.
  std::span<const Anchor> equal_to(std::uint64_t hash) const {
    const std::uint64_t at = place(hash);
    if ((seen_[at / 64] >> (at % 64) & 1) == 0) return {};
    const auto less = [](const Anchor& a, std::uint64_t h) { return a.hash < h; };
    const auto first = std::lower_bound(anchors_.begin(), anchors_.end(), hash, less);
    auto last = first;
    while (last != anchors_.end() && last->hash == hash) ++last;
    return {first, last};
  }

  void meet(const Span& span) {
    for (std::uint64_t i = span.begin; i < span.end;) {
      const std::uint64_t until = std::min(span.end, (i / 64 + 1) * 64);
      const std::uint64_t bits =
          until - i == 64 ? ~std::uint64_t{0} : ((std::uint64_t{1} << (until - i)) - 1) << (i % 64);
      if ((met_[i / 64].load(std::memory_order_relaxed) & bits) != bits)
        met_[i / 64].fetch_or(bits, std::memory_order_relaxed);
      i = until;
    }
  }

  // Rulers of dashes and the like give many anchors whose windows are all equal: the first will do.
  void drop_equal_surroundings() {
    const char* text = whole_.text().data();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < anchors_.size(); ++i) {
      const Anchor& anchor = anchors_[i];
      bool known = false;
      for (std::size_t k = kept; !known && k > 0 && kept - k < 64; --k) {
        const Anchor& before = anchors_[k - 1];
        if (before.hash != anchor.hash) break;
        known = before.least_lead <= anchor.least_lead && before.most_lead >= anchor.most_lead &&
                std::memcmp(text + before.position - anchor.most_lead,
                            text + anchor.position - anchor.most_lead,
                            anchor.most_lead - anchor.least_lead + window_) == 0;
      }
      if (!known) anchors_[kept++] = anchor;
    }
    anchors_.resize(kept);
  }

  WholeText whole_;
  std::uint64_t window_;
  std::vector<Anchor> anchors_;
  int bucket_bits_ = 6;
  std::vector<std::uint64_t> seen_;
  std::vector<std::atomic<std::uint64_t>> met_;  // one bit a byte
};

HeldOutText::HeldOutText(std::unique_ptr<Index> index) : index_(std::move(index)) {}
HeldOutText::HeldOutText(HeldOutText&&) noexcept = default;
HeldOutText& HeldOutText::operator=(HeldOutText&&) noexcept = default;
HeldOutText::~HeldOutText() = default;

Result<HeldOutText> HeldOutText::of(const DocumentSource& held_out,
                                    std::uint64_t length,
                                    const Resources& resources) {
  if (std::vector<Error> problems = check(AgainstOptions{.length = length}); !problems.empty())
    return std::move(problems.front());
  Result<WholeText> whole = WholeText::of(held_out, resources.scratch, resources.memory_bytes / 3);
  if (!whole) return std::move(whole).error();
  const std::uint64_t needed =
      whole->memory_bytes() + Index::memory_of(whole->text().size(), length);
  if (needed > resources.memory_bytes)
    return needs_memory("against", needed, resources.memory_bytes);
  return HeldOutText(std::make_unique<Index>(*std::move(whole), length, resources.threads));
}

HeldOutText::Found HeldOutText::find(std::string_view text) const { return index_->find(text); }
std::size_t HeldOutText::documents() const { return index_->whole().documents(); }
std::uint64_t HeldOutText::bytes() const { return index_->whole().text().size(); }
std::uint64_t HeldOutText::memory_bytes() const {
  return index_->whole().memory_bytes() + Index::memory_of(bytes(), index_->window());
}
std::uint64_t HeldOutText::bytes_met() const { return index_->bytes_met(0, bytes()); }
std::uint64_t HeldOutText::documents_met() const {
  std::uint64_t met = 0;
  for (std::size_t i = 0; i < documents(); ++i)
    met += index_->bytes_met(index_->whole().start(i), index_->whole().end(i)) > 0;
  return met;
}

std::vector<Error> check(const AgainstOptions& options) {
  if (options.length >= 16 && options.length <= 100'000) return {};
  return {{ErrorKind::usage,
           fmt::format("against: the length is {}, it must be 16 … 100000 bytes", options.length),
           "",
           {},
           {}}};
}

Result<FilterReport> overlap(const DocumentSource& source,
                             const DocumentSource& held_out,
                             const AgainstOptions& options,
                             const Resources& resources) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return std::move(problems.front());
  const Result<std::string> reference = digest_of(held_out);
  if (!reference) return reference.error();
  const Result<HeldOutText> index = HeldOutText::of(held_out, options.length, resources);
  if (!index) return index.error();
  FilterReport report;
  report.peak_memory_bytes = index->memory_bytes();
  std::vector<HeldOutText::Found> found(source.size());
  const Result<void> read =
      for_each_text(source, resources.threads, [&](std::size_t i, std::string_view text) {
        found[i] = index->find(text);
        if (options.action == OverlapAction::drop) return;
        for (Span& span : found[i].spans) span = whole_letters(text, span);
      });
  if (!read) return read.error();

  std::uint64_t shared = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].spans.empty()) continue;
    Change change{i, Verdict::drop, found[i].other, 0, {}};
    std::uint64_t bytes = 0;
    for (const Span& span : found[i].spans) bytes += span.end - span.begin;
    change.value = static_cast<double>(bytes);
    shared += bytes;
    if (options.action == OverlapAction::cut && bytes < source.bytes(i)) {
      change.verdict = Verdict::cut;
      change.cuts = std::move(found[i].spans);
    }
    report.changes.push_back(std::move(change));
  }
  report.record = {{"step", "against"},
                   {"version", 1},
                   {"length", options.length},
                   {"action", options.action == OverlapAction::drop ? "drop" : "cut"},
                   {"reference_sha256", *reference},
                   {"reference_documents", held_out.size()}};
  report.figures = {{"documents_with_overlap", report.changes.size()}, {"bytes_shared", shared}};
  count_changes(source, report);
  return report;
}

}  // namespace ration::data::filter
