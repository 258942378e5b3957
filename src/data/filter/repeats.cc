#include "data/filter/repeats.h"

#include <fmt/format.h>

#include "data/filter/repeat_marks.h"

namespace ration::data::filter {

namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::uint64_t length_of(const std::vector<Span>& spans) {
  std::uint64_t sum = 0;
  for (const Span& span : spans) sum += span.end - span.begin;
  return sum;
}

std::optional<Change> change_of(const RepeatMarks& marks,
                                std::size_t document,
                                RepeatAction action) {
  const bool later = action == RepeatAction::first;
  const std::vector<Span> spans = marks.spans(document, later);
  if (spans.empty()) return std::nullopt;
  const WholeText& whole = marks.whole();
  const std::string_view text =
      whole.text().substr(whole.start(document), whole.end(document) - whole.start(document));
  Change change{document, Verdict::drop, marks.other(document, later), 0, {}};
  change.value = static_cast<double>(length_of(spans));
  if (action == RepeatAction::drop) return change;
  for (const Span& span : spans) {
    const Span whole_span = whole_letters(text, span);
    if (whole_span.begin < whole_span.end) change.cuts.push_back(whole_span);
  }
  if (change.cuts.empty()) return std::nullopt;
  if (leaves_text(text, change.cuts))
    change.verdict = Verdict::cut;
  else
    change.cuts.clear();
  return change;
}

}  // namespace

bool leaves_text(std::string_view text, const std::vector<Span>& cuts) {
  std::uint64_t at = 0;
  const auto has_text = [&](std::uint64_t end) {
    for (; at < end; ++at)
      if (!is_blank(text[at])) return true;
    return false;
  };
  for (const Span& cut : cuts) {
    if (has_text(cut.begin)) return true;
    at = cut.end;
  }
  return has_text(text.size());
}

Span whole_letters(std::string_view text, Span span) {
  const auto inside = [&](std::uint64_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  for (int i = 0; i < 3 && span.begin < span.end && inside(span.begin); ++i) ++span.begin;
  for (int i = 0; i < 3 && span.begin < span.end && inside(span.end); ++i) --span.end;
  return span;
}

std::vector<Error> check(const RepeatOptions& options) {
  if (options.length >= 16 && options.length <= 100'000) return {};
  return {{ErrorKind::usage,
           fmt::format("repeats: the length is {}, it must be 16 … 100000 bytes", options.length),
           "",
           {},
           {}}};
}

Result<FilterReport> repeated_substrings(const DocumentSource& source,
                                         const RepeatOptions& options,
                                         const Resources& resources) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return std::move(problems.front());
  Result<WholeText> whole = WholeText::of(source, resources.scratch, resources.memory_bytes / 3);
  if (!whole) return std::move(whole).error();
  FilterReport report;
  const std::uint64_t least =
      whole->memory_bytes() + RepeatMarks::memory_bytes(whole->text().size(), source.size());
  if (least > resources.memory_bytes) return needs_memory("repeats", least, resources.memory_bytes);
  RepeatMarks marks(*whole, options.length);
  const Result<void> marked =
      options.method == RepeatMethod::anchors
          ? mark_by_anchors(marks, resources, report.peak_memory_bytes)
          : mark_by_suffix_array(marks, resources, report.peak_memory_bytes);
  if (!marked) return marked.error();

  std::vector<std::optional<Change>> changes(source.size());
  std::vector<std::uint64_t> repeated(source.size());
  parallel_for((source.size() + 255) / 256, resources.threads, [&](std::size_t block) {
    for (std::size_t i = 256 * block; i < std::min(source.size(), 256 * block + 256); ++i) {
      repeated[i] = length_of(marks.spans(i, false));
      if (repeated[i] > 0) changes[i] = change_of(marks, i, options.action);
    }
  });
  std::uint64_t documents = 0, bytes = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    documents += repeated[i] > 0;
    bytes += repeated[i];
    if (changes[i]) report.changes.push_back(std::move(*changes[i]));
  }
  static constexpr const char* kActions[] = {"drop", "first", "cut"};
  report.record = {
      {"step", "repeats"},
      {"version", 1},
      {"length", options.length},
      {"action", kActions[static_cast<int>(options.action)]},
      {"method", options.method == RepeatMethod::anchors ? "anchors" : "suffix-array"}};
  report.figures = {{"documents_with_repeats", documents}, {"bytes_in_repeats", bytes}};
  count_changes(source, report);
  return report;
}

}  // namespace ration::data::filter
