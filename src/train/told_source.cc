#include "train/told_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "run/experts.h"
#include "run/mixture.h"
#include "train/setting_words.h"

namespace ration::train {
namespace {

constexpr std::string_view kSource = "source";

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

}  // namespace

Result<std::optional<std::int64_t>> take_source(std::vector<std::string>& settings) {
  std::optional<std::int64_t> source;
  for (const std::string& word : settings) {
    if (name_of_setting(word) != kSource) continue;
    const std::string_view number =
        std::string_view(word).substr(std::min(word.size(), kSource.size() + 1));
    const char* const behind = number.data() + number.size();
    std::int64_t value = -1;
    const auto [end, code] = std::from_chars(number.data(), behind, value);
    if (code != std::errc() || end != behind || value < 0)
      return usage(fmt::format("\"{}\" is no number of a source", word),
                   "write source=0 for the run's main data, source=1 for the first of aux, …");
    source = value;
  }
  std::erase_if(settings, [](const std::string& word) { return name_of_setting(word) == kSource; });
  return source;
}

Result<std::int64_t> source_of_text(const run::RunSpec& spec, std::optional<std::int64_t> asked) {
  if (!asked) return std::int64_t{0};
  if (!run::reads_sources(spec))
    return usage(fmt::format("source={}: router \"{}\" is told no source", *asked, spec.router),
                 "leave it out");
  if (*asked >= run::sources_of(spec))
    return usage(
        fmt::format("source={}: the run has sources 0 to {}", *asked, run::sources_of(spec) - 1),
        "0 is its main data, 1 the first of aux by digest");
  return *asked;
}

Result<std::int64_t> source_of_data(const run::RunSpec& spec,
                                    const std::string& digest,
                                    std::optional<std::int64_t> asked) {
  if (asked || !run::reads_sources(spec) || digest == spec.data_digest)
    return source_of_text(spec, asked);
  const Result<std::vector<run::AuxSource>> aux = run::parse_aux(spec.aux);
  if (!aux) return aux.error();
  for (std::size_t i = 0; i < aux->size(); ++i)
    if ((*aux)[i].data_digest == digest) return static_cast<std::int64_t>(i) + 1;
  return usage(fmt::format("router \"{}\" is told the source of each text, and data {} are none of "
                           "the run's sources",
                           spec.router,
                           digest.substr(0, 12)),
               fmt::format("say as which they are to be read: source=N, 0 to {}",
                           run::sources_of(spec) - 1));
}

}  // namespace ration::train
