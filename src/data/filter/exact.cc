#include "data/filter/exact.h"

#include <array>
#include <numeric>

#include "base/hash.h"
#include "data/filter/texts.h"
#include "data/text_folder.h"

namespace ration::data::filter {

Result<FilterReport> exact_duplicates(const DocumentSource& source, const Resources& resources) {
  struct Keyed {
    std::array<char, 16> key;
    std::size_t document;
    auto operator<=>(const Keyed&) const = default;
  };
  FilterReport report;
  report.peak_memory_bytes = source.size() * sizeof(Keyed);
  if (report.peak_memory_bytes > resources.memory_bytes)
    return needs_memory("exact", report.peak_memory_bytes, resources.memory_bytes);

  std::vector<Keyed> keyed(source.size());
  const Result<void> read =
      for_each_text(source, resources.threads, [&](std::size_t i, std::string_view text) {
        const std::string hex = sha256_hex(normalised(text));
        for (std::size_t k = 0; k < 16; ++k) {
          const auto digit = [&](std::size_t at) {
            return hex[at] <= '9' ? hex[at] - '0' : hex[at] - 'a' + 10;
          };
          keyed[i].key[k] = static_cast<char>(16 * digit(2 * k) + digit(2 * k + 1));
        }
        keyed[i].document = i;
      });
  if (!read) return read.error();
  std::sort(keyed.begin(), keyed.end());

  std::uint64_t groups = 0, largest = 0;
  for (std::size_t first = 0, next = 0; first < keyed.size(); first = next) {
    for (next = first + 1; next < keyed.size() && keyed[next].key == keyed[first].key; ++next)
      report.changes.push_back({keyed[next].document, Verdict::drop, keyed[first].document, 1, {}});
    groups += next - first > 1;
    largest = std::max<std::uint64_t>(largest, next - first);
  }
  std::sort(report.changes.begin(), report.changes.end(), [](const Change& a, const Change& b) {
    return a.document < b.document;
  });
  report.record = {{"step", "exact"}, {"version", 1}};
  report.figures = {{"groups", groups}, {"largest_group", largest}};
  count_changes(source, report);
  return report;
}

}  // namespace ration::data::filter
