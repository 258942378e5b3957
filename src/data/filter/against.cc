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
class HeldOutIndex {
 public:
  HeldOutIndex(WholeText whole, std::uint64_t window, int threads)
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

  HeldOutText::Found find(std::string_view text) {
    HeldOutText::Found out;
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

namespace {

// Documents [begin, end) of another source.
class PartOfDocuments final : public DocumentSource {
 public:
  PartOfDocuments(const DocumentSource& source, const Part& part) : source_(source), part_(part) {}
  std::size_t size() const override { return part_.end - part_.begin; }
  std::uint64_t bytes(std::size_t i) const override { return source_.bytes(part_.begin + i); }
  Result<std::string_view> text(std::size_t i, std::string& buffer) const override {
    return source_.text(part_.begin + i, buffer);
  }

 private:
  const DocumentSource& source_;
  Part part_;
};

// What an index of so much text needs, its copy included.
std::uint64_t memory_of(std::uint64_t bytes, std::uint64_t documents, std::uint64_t length) {
  return bytes + 8 * documents + HeldOutIndex::memory_of(bytes, length);
}

}  // namespace

HeldOutText::HeldOutText(std::unique_ptr<HeldOutIndex> index, std::size_t first)
    : index_(std::move(index)), first_(first) {}
HeldOutText::HeldOutText(HeldOutText&&) noexcept = default;
HeldOutText& HeldOutText::operator=(HeldOutText&&) noexcept = default;
HeldOutText::~HeldOutText() = default;

Result<std::vector<Part>> parts_of_held_out(const DocumentSource& held_out,
                                            std::uint64_t length,
                                            const Resources& resources) {
  std::vector<Part> parts = {{0, 0}};
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < held_out.size(); ++i) {
    const std::uint64_t own = held_out.bytes(i);
    if (const std::uint64_t alone = memory_of(own, 1, length); alone > resources.memory_bytes)
      return needs_memory("against", alone, resources.memory_bytes);
    if (memory_of(bytes + own, i + 1 - parts.back().begin, length) > resources.memory_bytes) {
      parts.push_back({i, i});
      bytes = 0;
    }
    bytes += own;
    parts.back().end = i + 1;
  }
  return parts;
}

Result<HeldOutText> HeldOutText::of(const DocumentSource& held_out,
                                    const Part& part,
                                    std::uint64_t length,
                                    const Resources& resources) {
  if (std::vector<Error> problems = check(AgainstOptions{.length = length}); !problems.empty())
    return std::move(problems.front());
  const PartOfDocuments documents(held_out, part);
  Result<WholeText> whole = WholeText::of(documents, resources.scratch, resources.memory_bytes);
  if (!whole) return std::move(whole).error();
  return HeldOutText(std::make_unique<HeldOutIndex>(*std::move(whole), length, resources.threads),
                     part.begin);
}

HeldOutText::Found HeldOutText::find(std::string_view text) const {
  Found found = index_->find(text);
  if (found.other) *found.other += first_;
  return found;
}
std::uint64_t HeldOutText::memory_bytes() const {
  const WholeText& whole = index_->whole();
  return whole.memory_bytes() + HeldOutIndex::memory_of(whole.text().size(), index_->window());
}
std::uint64_t HeldOutText::bytes_met(std::size_t document) const {
  const std::size_t i = document - first_;
  return index_->bytes_met(index_->whole().start(i), index_->whole().end(i));
}

void add_spans(std::vector<Span>& spans, const std::vector<Span>& more) {
  if (more.empty()) return;
  spans.insert(spans.end(), more.begin(), more.end());
  std::sort(
      spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].begin <= spans[kept].end)
      spans[kept].end = std::max(spans[kept].end, spans[i].end);
    else
      spans[++kept] = spans[i];
  }
  spans.resize(kept + 1);
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
  const Result<std::vector<Part>> parts = parts_of_held_out(held_out, options.length, resources);
  if (!parts) return parts.error();
  FilterReport report;
  std::vector<HeldOutText::Found> found(source.size());
  std::vector<char> blank_left(source.size());
  for (const Part& part : *parts) {
    const Result<HeldOutText> index = HeldOutText::of(held_out, part, options.length, resources);
    if (!index) return index.error();
    report.peak_memory_bytes = std::max(report.peak_memory_bytes, index->memory_bytes());
    const Result<void> read =
        for_each_text(source, resources.threads, [&](std::size_t i, std::string_view text) {
          const HeldOutText::Found here = index->find(text);
          add_spans(found[i].spans, here.spans);
          if (!found[i].other) found[i].other = here.other;
          if (options.action == OverlapAction::drop || part.end < held_out.size()) return;
          for (Span& span : found[i].spans) span = whole_letters(text, span);
          blank_left[i] = !leaves_text(text, found[i].spans);
        });
    if (!read) return read.error();
  }

  std::uint64_t shared = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].spans.empty()) continue;
    Change change{i, Verdict::drop, found[i].other, 0, {}};
    std::uint64_t bytes = 0;
    for (const Span& span : found[i].spans) bytes += span.end - span.begin;
    change.value = static_cast<double>(bytes);
    shared += bytes;
    if (options.action == OverlapAction::cut && blank_left[i] == 0) {
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
