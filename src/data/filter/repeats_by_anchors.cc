#include <cstring>

#include "base/random.h"
#include "data/filter/anchors.h"
#include "data/filter/repeat_marks.h"

namespace ration::data::filter {

namespace {

constexpr std::size_t kBuckets = 64;  // by hash; each is sorted and looked through on its own

// Equal anchors of one corpus, and the windows around them that are equal too.
class AnchorGroup {
 public:
  AnchorGroup(RepeatMarks& marks) : marks_(marks), text_(marks.whole().text()) {}

  void look(const Anchor* begin, const Anchor* end) {
    if (end - begin == 2)
      look_at_two(begin[0], begin[1]);
    else
      look_at_many(begin, end);
  }

 private:
  void look_at_two(const Anchor& a, const Anchor& b) {
    const EqualLeads leads =
        equal_windows(a, text_.data() + a.position, b, text_.data() + b.position, marks_.window());
    if (!leads.none())
      marks_.add_pair(
          a.position - leads.most, b.position - leads.most, leads.most - leads.least + 1);
  }

  struct Window {
    std::uint64_t hash;
    std::uint64_t place;
    auto operator<=>(const Window&) const = default;
  };

  void look_at_many(const Anchor* begin, const Anchor* end) {
    constexpr std::size_t kMostWindows = std::size_t{1} << 20;
    std::size_t count = 0;
    std::uint32_t least = ~std::uint32_t{0}, most = 0;
    for (const Anchor* a = begin; a != end; ++a) {
      count += a->most_lead - a->least_lead + 1;
      least = std::min(least, a->least_lead);
      most = std::max(most, a->most_lead);
    }
    // Equal windows have an equal lead: a crowd can be looked at lead by lead.
    const std::uint32_t step = count > kMostWindows ? 1 : most - least + 1;
    for (std::uint64_t lead = least; lead <= most; lead += step) {
      windows_.clear();
      for (const Anchor* a = begin; a != end; ++a) {
        const std::uint64_t from = std::max<std::uint64_t>(a->least_lead, lead);
        const std::uint64_t to = std::min<std::uint64_t>(a->most_lead, lead + step - 1);
        if (from <= to) add_windows(a->position - to, to - from + 1);
      }
      std::sort(windows_.begin(), windows_.end());
      for (std::size_t i = 0, next = 0; i < windows_.size(); i = next) {
        for (next = i + 1; next < windows_.size() && windows_[next].hash == windows_[i].hash;)
          ++next;
        if (next - i > 1) mark(i, next);
      }
    }
  }

  void add_windows(std::uint64_t first, std::uint64_t count) {
    constexpr std::uint64_t kFactor = 0xD1342543DE82EF95;
    const std::uint64_t window = marks_.window();
    const auto byte = [&](std::uint64_t at) {
      return static_cast<unsigned char>(text_[at]) + std::uint64_t{1};
    };
    if (top_ == 0) {
      top_ = 1;
      for (std::uint64_t i = 0; i < window; ++i) top_ *= kFactor;
    }
    std::uint64_t hash = 0;
    for (std::uint64_t i = 0; i < window; ++i) hash = hash * kFactor + byte(first + i);
    for (std::uint64_t i = 0;; ++i) {
      windows_.push_back({hash, first + i});
      if (i + 1 == count) return;
      hash = hash * kFactor + byte(first + i + window) - top_ * byte(first + i);
    }
  }

  // Windows of equal hash: marks those of equal bytes, whatever the hash says.
  void mark(std::size_t begin, std::size_t end) {
    const auto equal = [&](std::uint64_t a, std::uint64_t b) {
      return std::memcmp(text_.data() + a, text_.data() + b, marks_.window()) == 0;
    };
    rest_.clear();
    for (std::size_t i = begin; i < end; ++i) rest_.push_back(windows_[i].place);
    while (rest_.size() > 1) {
      const std::uint64_t first = rest_.front();
      const auto others = std::stable_partition(
          rest_.begin(), rest_.end(), [&](std::uint64_t place) { return equal(first, place); });
      if (others - rest_.begin() > 1) {
        same_.assign(rest_.begin(), others);
        marks_.add(same_);
      }
      rest_.erase(rest_.begin(), others);
    }
  }

  RepeatMarks& marks_;
  std::string_view text_;
  std::uint64_t top_ = 0;
  std::vector<Window> windows_;
  std::vector<std::uint64_t> rest_, same_;
};

}  // namespace

Result<void> mark_by_anchors(RepeatMarks& marks,
                             const Resources& resources,
                             std::uint64_t& memory) {
  const WholeText& whole = marks.whole();
  // Anchors are 4 of L + 2 places in text without pattern; room for some pattern, and for the
  // growth of vectors.
  const std::uint64_t expected =
      whole.text().size() * 6 / (marks.window() + 2) * sizeof(Anchor) * 3 / 2;
  const std::uint64_t taken = whole.memory_bytes() + marks.memory_bytes();
  const std::uint64_t least = taken + (std::uint64_t{4} << 20);
  if (least > resources.memory_bytes) return needs_memory("repeats", least, resources.memory_bytes);
  const std::uint64_t passes = expected / (resources.memory_bytes - taken) + 1;
  memory = taken + expected / passes;

  std::vector<Part> parts;
  for (std::size_t i = 0; i < whole.documents(); ++i) {
    if (parts.empty() || whole.end(i) - whole.start(parts.back().begin) > (std::uint64_t{4} << 20))
      parts.push_back({i, i});
    parts.back().end = i + 1;
  }
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    std::vector<std::vector<std::vector<Anchor>>> found(parts.size());
    parallel_for(parts.size(), resources.threads, [&](std::size_t p) {
      found[p].resize(kBuckets);
      for (std::size_t i = parts[p].begin; i < parts[p].end; ++i)
        for_each_anchor(whole.text().substr(whole.start(i), whole.end(i) - whole.start(i)),
                        marks.window(),
                        whole.start(i),
                        [&](const Anchor& anchor) {
                          const std::uint64_t spread =
                              mix(anchor.hash);  // least hashes are small ones
                          if (spread / kBuckets % passes == pass)
                            found[p][spread % kBuckets].push_back(anchor);
                        });
    });
    parallel_for(kBuckets, resources.threads, [&](std::size_t bucket) {
      std::vector<Anchor> anchors;
      for (auto& part : found) {
        anchors.insert(anchors.end(), part[bucket].begin(), part[bucket].end());
        std::vector<Anchor>().swap(part[bucket]);
      }
      std::sort(anchors.begin(), anchors.end(), [](const Anchor& a, const Anchor& b) {
        return a.hash != b.hash ? a.hash < b.hash : a.position < b.position;
      });
      AnchorGroup group(marks);
      for (std::size_t i = 0, next = 0; i < anchors.size(); i = next) {
        for (next = i + 1; next < anchors.size() && anchors[next].hash == anchors[i].hash;) ++next;
        if (next - i > 1) group.look(&anchors[i], &anchors[i] + (next - i));
      }
    });
  }
  return {};
}

}  // namespace ration::data::filter
