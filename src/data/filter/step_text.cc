#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/text.h"
#include "data/filter/filter.h"

namespace ration::data::filter {

namespace {

constexpr std::string_view kForms =
    "exact, near:SIMILARITY, repeats:BYTES:drop|first|cut, against:BYTES:drop|cut, "
    "perplexity:lowest=SHARE|middle=SHARE|band=LOW..HIGH";

Error refused(std::string_view step, std::string what, std::string allowed) {
  return {ErrorKind::usage,
          fmt::format("in the filter \"{}\": {}", step, what),
          "allowed: " + std::move(allowed),
          {},
          {}};
}

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// One option: name=value, or the value alone.
struct Word {
  std::string_view name, value;
};
Word word_of(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

bool read_into(ExactOptions&, const Word&) { return false; }

bool read_into(NearOptions& options, const Word& word) {
  if (word.name.empty()) return read_number(word.value, options.threshold);
  if (word.name == "words") return read_number(word.value, options.words);
  if (word.name == "hashes") return read_number(word.value, options.hashes);
  if (word.name == "recall") return read_number(word.value, options.recall);
  if (word.name == "bucket") return read_number(word.value, options.bucket_limit);
  if (word.name == "seed") return read_number(word.value, options.seed);
  if (word.name != "bands") return false;
  options.bands = Bands{0, 0};
  if (word.value == "balanced") return true;
  const std::vector<std::string_view> sides = split(word.value, 'x');
  return sides.size() == 2 && read_number(sides[0], options.bands->bands) &&
         read_number(sides[1], options.bands->rows);
}

bool read_into(RepeatOptions& options, const Word& word) {
  if (word.name == "method") {
    options.method = word.value == "anchors" ? RepeatMethod::anchors : RepeatMethod::suffix_array;
    return word.value == "anchors" || word.value == "suffix-array";
  }
  if (!word.name.empty()) return false;
  if (word.value == "drop") return options.action = RepeatAction::drop, true;
  if (word.value == "first") return options.action = RepeatAction::first, true;
  if (word.value == "cut") return options.action = RepeatAction::cut, true;
  return read_number(word.value, options.length);
}

bool read_into(AgainstOptions& options, const Word& word) {
  if (!word.name.empty()) return false;
  if (word.value == "drop") return options.action = OverlapAction::drop, true;
  if (word.value == "cut") return options.action = OverlapAction::cut, true;
  return read_number(word.value, options.length);
}

bool read_into(PerplexityOptions& options, const Word& word) {
  if (word.name == "order") return read_number(word.value, options.order);
  if (word.name == "unit") {
    options.unit = word.value == "byte" ? PerplexityUnit::byte : PerplexityUnit::token;
    return word.value == "token" || word.value == "byte";
  }
  double share = 0;
  if (word.name == "lowest") {
    options.low = 0;
    return read_number(word.value, options.high);
  }
  if (word.name == "middle") {
    if (!read_number(word.value, share)) return false;
    options.low = 0.5 - share / 2;
    options.high = 0.5 + share / 2;
    return true;
  }
  const std::size_t dots = word.value.find("..");
  return word.name == "band" && dots != std::string_view::npos &&
         read_number(word.value.substr(0, dots), options.low) &&
         read_number(word.value.substr(dots + 2), options.high);
}

std::vector<Error> check(const ExactOptions&) { return {}; }

// What an option decides: the same for two of which one must be left out.
std::string subject(const Word& word) {
  if (word.name == "lowest" || word.name == "middle" || word.name == "band") return "ranks";
  if (!word.name.empty()) return std::string(word.name);
  double number = 0;
  return read_number(word.value, number) ? "number" : "action";
}

template <class Options>
Result<Step> read(std::string_view text, const std::string& allowed) {
  Options options;
  const std::vector<std::string_view> parts = split(text, ':');
  std::set<std::string> subjects;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!read_into(options, word_of(parts[i])))
      return refused(text, fmt::format("\"{}\" cannot be read", parts[i]), allowed);
    if (!subjects.insert(subject(word_of(parts[i]))).second)
      return refused(
          text, fmt::format("\"{}\" contradicts what stands before it", parts[i]), allowed);
  }
  if constexpr (std::is_same_v<Options, NearOptions>)
    if (options.bands == Bands{0, 0} &&
        check(NearOptions{.threshold = options.threshold, .hashes = options.hashes}).empty())
      options.bands = balanced_bands(options.threshold, options.hashes);
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), fmt::format("the filter \"{}\" cannot be used", text));
  return Step(options);
}

std::string describe(const ExactOptions&) { return "exact"; }
std::string describe(const NearOptions& o) {
  const Bands bands = o.bands.value_or(bands_for_recall(o.threshold, o.recall, o.hashes));
  return fmt::format("near:{}:words={}:hashes={}:bands={}x{}:bucket={}:seed={}",
                     o.threshold,
                     o.words,
                     o.hashes,
                     bands.bands,
                     bands.rows,
                     o.bucket_limit,
                     o.seed);
}
std::string describe(const RepeatOptions& o) {
  return fmt::format("repeats:{}:{}:method={}",
                     o.length,
                     o.action == RepeatAction::drop    ? "drop"
                     : o.action == RepeatAction::first ? "first"
                                                       : "cut",
                     o.method == RepeatMethod::anchors ? "anchors" : "suffix-array");
}
std::string describe(const AgainstOptions& o) {
  return fmt::format("against:{}:{}", o.length, o.action == OverlapAction::drop ? "drop" : "cut");
}
std::string describe(const PerplexityOptions& o) {
  return fmt::format("perplexity:band={}..{}:order={}:unit={}",
                     o.low,
                     o.high,
                     o.order,
                     o.unit == PerplexityUnit::token ? "token" : "byte");
}

}  // namespace

Result<Step> parse_step(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(':'));
  if (name == "exact") return read<ExactOptions>(text, "exact, without options");
  if (name == "near")
    return read<NearOptions>(text,
                             "near:SIMILARITY with words=N, hashes=N, recall=P, "
                             "bands=BxR or bands=balanced, bucket=N, seed=N");
  if (name == "repeats")
    return read<RepeatOptions>(
        text, "repeats:BYTES with drop, first or cut, method=anchors or method=suffix-array");
  if (name == "against") return read<AgainstOptions>(text, "against:BYTES with drop or cut");
  if (name == "perplexity")
    return read<PerplexityOptions>(text,
                                   "perplexity with lowest=SHARE, middle=SHARE or band=LOW..HIGH, "
                                   "order=N, unit=token or unit=byte");
  static const std::vector<std::string> kNames = {
      "exact", "near", "repeats", "against", "perplexity"};
  return refused(text, "there is no such filter" + did_you_mean(name, kNames), std::string(kForms));
}

std::string text_of(const Step& step) {
  return std::visit([](const auto& options) { return describe(options); }, step);
}

}  // namespace ration::data::filter
