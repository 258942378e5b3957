#include "data/filter/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/hash.h"
#include "data/filter/near.h"
#include "data/filter/texts.h"

namespace ration::data::filter {

namespace {

constexpr std::uint64_t kTokensForFive = 10'000'000;

using Ids = std::vector<std::uint32_t>;

// Calls work(document, ids) for each document of parts.
template <class Work>
Result<void> for_each_tokens(const DocumentSource& source,
                             const std::vector<Part>& parts,
                             const Tokenizer& tokenizer,
                             int threads,
                             const Work& work) {
  std::mutex mutex;
  std::optional<Error> problem;
  const Result<void> read =
      for_each_text(source, parts, threads, [&](std::size_t i, std::string_view text) {
        Result<Ids> ids = tokenizer.encode(text);
        if (ids) return work(i, std::move(*ids));
        const std::scoped_lock lock(mutex);
        if (!problem) problem = std::move(ids).error();
      });
  if (!read) return read;
  if (problem) return std::move(*problem);
  return {};
}

const char* length_class(std::uint64_t bytes) {
  return bytes < 1024    ? "under 1 KiB"
         : bytes < 4096  ? "1-4 KiB"
         : bytes < 16384 ? "4-16 KiB"
         : bytes < 65536 ? "16-64 KiB"
                         : "64 KiB or more";
}

struct Kept {
  std::uint64_t documents = 0, kept = 0, bytes = 0, kept_bytes = 0;
};

Json json_of(const std::map<std::string, Kept>& classes) {
  Json out = Json::object();
  for (const auto& [name, kept] : classes)
    out[name] = {{"documents", kept.documents},
                 {"documents_kept", kept.kept},
                 {"bytes", kept.bytes},
                 {"bytes_kept", kept.kept_bytes}};
  return out;
}

Json shares_of(const DocumentSource& source, const FilterReport& report) {
  std::map<std::string, Kept> origins, lengths;
  std::vector<double> bytes;
  auto dropped = report.changes.begin();
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool kept = dropped == report.changes.end() || dropped->document != i;
    if (!kept) ++dropped;
    bytes.push_back(static_cast<double>(source.bytes(i)));
    for (Kept* sum :
         {&origins[std::string(source.origin(i))], &lengths[length_class(source.bytes(i))]}) {
      ++sum->documents;
      sum->bytes += source.bytes(i);
      sum->kept += kept;
      sum->kept_bytes += kept ? source.bytes(i) : 0;
    }
  }
  Json figures = {{"kept_by_origin", json_of(origins)}, {"kept_by_length", json_of(lengths)}};
  const double correlation = rank_correlation(report.scores, bytes);
  figures["rank_correlation_with_length"] = std::isfinite(correlation) ? Json(correlation) : Json();
  if (!report.scores.empty()) {
    std::vector<double> sorted = report.scores;
    std::sort(sorted.begin(), sorted.end());
    for (const int percent : {10, 50, 90})
      figures[fmt::format("perplexity_{}_percent_below", percent)] =
          sorted[(sorted.size() - 1) * static_cast<std::size_t>(percent) / 100];
  }
  return figures;
}

// Near-duplicates among the documents kept, by the defaults of `near`.
Result<std::uint64_t> near_duplicates_kept(const DocumentSource& source,
                                           const FilterReport& report,
                                           const Resources& resources) {
  RemainingDocuments kept(source);
  std::vector<std::size_t> dropped;
  for (const Change& change : report.changes) dropped.push_back(change.document);
  kept.drop(dropped);
  const Result<FilterReport> near = near_duplicates(kept, {}, resources);
  if (!near) return near.error();
  return near->changes.size();
}

// The report of documents with scores, without its record.
Result<FilterReport> report_of(const DocumentSource& source,
                               std::vector<double> scores,
                               const PerplexityOptions& options,
                               const Resources& resources) {
  FilterReport report;
  report.scores = std::move(scores);
  report.changes = drop_by_rank(report.scores, options.low, options.high);
  report.figures = shares_of(source, report);
  const Result<std::uint64_t> near = near_duplicates_kept(source, report, resources);
  if (!near) return near.error();
  report.figures["near_duplicates_kept"] = *near;
  count_changes(source, report);
  return report;
}

std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] < values[b];
  });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0, next = 0; i < order.size(); i = next) {
    while (next < order.size() && values[order[next]] == values[order[i]]) ++next;
    for (std::size_t k = i; k < next; ++k) ranks[order[k]] = static_cast<double>(i + next - 1) / 2;
  }
  return ranks;
}

}  // namespace

std::vector<Error> check(const PerplexityOptions& options) {
  std::vector<Error> problems;
  const auto demand = [&](bool fine, std::string what) {
    if (!fine) problems.push_back({ErrorKind::usage, std::move(what), "", {}, {}});
  };
  demand(
      options.low >= 0 && options.low < options.high && options.high <= 1,
      fmt::format("perplexity: the ranks kept are {} … {}, they must lie in 0 … 1, the lower first",
                  options.low,
                  options.high));
  demand(
      options.order >= 0 && options.order <= 8,
      fmt::format("perplexity: order is {}, it must be 1 … 8, or 0 for automatic", options.order));
  return problems;
}

std::vector<Change> drop_by_rank(std::span<const double> scores, double low, double high) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto n = static_cast<double>(scores.size());
  const auto begin = static_cast<std::ptrdiff_t>(std::llround(low * n));
  const auto end = static_cast<std::ptrdiff_t>(std::llround(high * n));
  const auto less = [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] < scores[b] : a < b;
  };
  std::nth_element(order.begin(), order.begin() + end, order.end(), less);
  std::nth_element(order.begin(), order.begin() + begin, order.begin() + end, less);
  std::vector<std::size_t> out(order.begin(), order.begin() + begin);
  out.insert(out.end(), order.begin() + end, order.end());
  std::sort(out.begin(), out.end());
  std::vector<Change> changes;
  for (const std::size_t i : out) changes.push_back({i, Verdict::drop, {}, scores[i], {}});
  return changes;
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = ranks_of(a), y = ranks_of(b);
  const double mean = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : std::numeric_limits<double>::quiet_NaN();
}

Result<NgramModel> model_of(const DocumentSource& reference,
                            const Tokenizer& tokenizer,
                            int order,
                            const Resources& resources) {
  NgramShape shape;
  shape.vocab = tokenizer.vocab();
  shape.end_token = tokenizer.end_token();
  const std::vector<Part> parts = parts_of(reference, std::uint64_t{1} << 20);
  constexpr std::size_t kParts = 16;  // tokenized at a time, added in order
  NgramBuilder builder(shape);
  for (std::size_t p = 0; p < parts.size(); p += kParts) {
    const std::vector<Part> here(
        parts.begin() + static_cast<std::ptrdiff_t>(p),
        parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), p + kParts)));
    const std::size_t begin = here.front().begin;
    std::vector<Ids> block(here.back().end - begin);
    const Result<void> read =
        for_each_tokens(reference, here, tokenizer, resources.threads, [&](std::size_t i, Ids ids) {
          block[i - begin] = std::move(ids);
        });
    if (!read) return read.error();
    for (const Ids& ids : block) builder.add(ids);
    if (20 * builder.tokens() > resources.memory_bytes)
      return needs_memory("perplexity", 20 * builder.tokens(), resources.memory_bytes);
  }
  builder.set_order(order > 0 ? order : builder.tokens() < kTokensForFive ? 3 : 5);
  return std::move(builder).build(resources.memory_bytes);
}

Result<FilterReport> perplexity_filter(const DocumentSource& source,
                                       const DocumentSource& reference,
                                       const Tokenizer& tokenizer,
                                       const PerplexityOptions& options,
                                       const Resources& resources) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the filter perplexity cannot be used so");
  const Result<std::string> digest = digest_of(reference);
  if (!digest) return digest.error();
  const Result<NgramModel> model = model_of(reference, tokenizer, options.order, resources);
  if (!model) return model.error();

  std::vector<double> scores(source.size());
  std::atomic<std::uint64_t> tokens{0};
  const Result<void> scored = for_each_tokens(
      source,
      parts_of(source, std::uint64_t{1} << 20),
      tokenizer,
      resources.threads,
      [&](std::size_t i, const Ids& ids) {
        const std::uint64_t units =
            options.unit == PerplexityUnit::token ? ids.size() + 1 : source.bytes(i) + 1;
        scores[i] = std::exp(model->negative_log(ids) / static_cast<double>(units));
        tokens += ids.size() + 1;
      });
  if (!scored) return scored.error();
  Result<FilterReport> report = report_of(source, std::move(scores), options, resources);
  if (!report) return report;
  report->peak_memory_bytes = model->memory_bytes() + source.size() * 8;
  report->record = {{"step", "perplexity"},
                    {"version", 1},
                    {"low", options.low},
                    {"high", options.high},
                    {"order", model->order()},
                    {"unit", options.unit == PerplexityUnit::token ? "token" : "byte"},
                    {"vocab", tokenizer.vocab()},
                    {"tokenizer_sha256",
                     tokenizer.model().empty() ? std::string() : sha256_hex(tokenizer.model())},
                    {"reference_sha256", *digest},
                    {"reference_documents", reference.size()}};
  report->figures["tokens_scored"] = tokens.load();
  report->figures["ngrams"] = model->sizes();
  return report;
}

Result<FilterReport> score_filter(const DocumentSource& source,
                                  std::span<const double> scores,
                                  const std::string& scores_sha256,
                                  const PerplexityOptions& options,
                                  const Resources& resources) {
  if (std::vector<Error> problems = check(options); !problems.empty())
    return combine(std::move(problems), "the filter perplexity cannot be used so");
  Result<FilterReport> report =
      report_of(source, {scores.begin(), scores.end()}, options, resources);
  if (!report) return report;
  report->peak_memory_bytes = source.size() * 16;
  report->record = {{"step", "perplexity"},
                    {"version", 1},
                    {"low", options.low},
                    {"high", options.high},
                    {"scores_sha256", scores_sha256}};
  return report;
}

}  // namespace ration::data::filter
