#include "data/filter/report.h"

#include <fmt/format.h>

#include "base/text.h"

namespace ration::data::filter {

std::string FilterReport::one_line() const {
  std::size_t cut = 0;
  for (const Change& change : changes) cut += change.verdict == Verdict::cut;
  return fmt::format("{}: {} of {} documents dropped, {} cut; {} of {} left",
                     record.value("step", "filter"),
                     documents_before - documents_after,
                     documents_before,
                     cut,
                     format_quantity(static_cast<double>(bytes_after), "B"),
                     format_quantity(static_cast<double>(bytes_before), "B"));
}

void count_changes(const DocumentSource& source, FilterReport& report) {
  report.documents_before = report.documents_after = source.size();
  report.bytes_before = report.bytes_after = total_bytes(source);
  for (const Change& change : report.changes) {
    if (change.verdict == Verdict::drop) {
      --report.documents_after;
      report.bytes_after -= source.bytes(change.document);
    }
    for (const Span& span : change.cuts) report.bytes_after -= span.end - span.begin;
  }
}

Error needs_memory(const std::string& step, std::uint64_t needed, std::uint64_t allowed) {
  return {ErrorKind::resource,
          fmt::format("{} needs {} of memory, {} are allowed",
                      step,
                      format_quantity(static_cast<double>(needed), "B"),
                      format_quantity(static_cast<double>(allowed), "B")),
          "allow more memory, or filter the corpus in parts"};
}

}  // namespace ration::data::filter
