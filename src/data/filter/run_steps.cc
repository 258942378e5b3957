#include <fmt/format.h>

#include "data/filter/exact.h"
#include "data/filter/filter.h"

namespace ration::data::filter {

namespace {

Error missing(const char* what, const char* hint) {
  return {ErrorKind::usage, fmt::format("the step needs {}", what), hint, {}, {}};
}

// One step over the documents that are left.
struct Runner {
  const RemainingDocuments& left;
  const StepInputs& inputs;
  const Resources& resources;

  Result<FilterReport> operator()(const ExactOptions&) const {
    return exact_duplicates(left, resources);
  }
  Result<FilterReport> operator()(const NearOptions& options) const {
    return near_duplicates(left, options, resources);
  }
  Result<FilterReport> operator()(const RepeatOptions& options) const {
    return repeated_substrings(left, options, resources);
  }
  Result<FilterReport> operator()(const AgainstOptions& options) const {
    if (inputs.held_out == nullptr)
      return missing("a held-out corpus", "name the text that must not be shared");
    return overlap(left, *inputs.held_out, options, resources);
  }
  Result<FilterReport> operator()(const PerplexityOptions& options) const {
    if (inputs.scores) return by_score(options);
    if (inputs.reference == nullptr)
      return missing("a reference corpus", "name text of the kind that is wanted");
    if (inputs.tokenizer == nullptr) return missing("a tokenizer", "name a tokenizer");
    return perplexity_filter(left, *inputs.reference, *inputs.tokenizer, options, resources);
  }
  Result<FilterReport> by_score(const PerplexityOptions& options) const {
    std::vector<double> scores;
    for (std::size_t i = 0; i < left.size(); ++i) scores.push_back((*inputs.scores)[left.id(i)]);
    return score_filter(left, scores, inputs.scores_sha256, options, resources);
  }
};

// Takes the changes of a report away, and numbers them as in the corpus.
void apply(FilterReport& report, bool other_is_ours, RemainingDocuments& left) {
  std::vector<std::size_t> dropped;
  for (Change& change : report.changes) {
    const std::size_t local = change.document;
    change.document = left.id(local);
    if (change.other && other_is_ours) change.other = left.id(*change.other);
    if (change.verdict == Verdict::drop) {
      dropped.push_back(local);
    } else {
      std::vector<Span> in_source = left.in_source(local, change.cuts);
      left.cut(local, change.cuts);
      change.cuts = std::move(in_source);
    }
  }
  left.drop(dropped);
}

}  // namespace

Result<FilterResult> run_steps(const DocumentSource& source,
                               const std::vector<Step>& steps,
                               const StepInputs& inputs,
                               const Resources& resources,
                               const StepSink& sink) {
  FilterResult result;
  RemainingDocuments left(source);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string text = text_of(steps[i]);
    if (sink) sink(i, text);
    Result<FilterReport> report = std::visit(Runner{left, inputs, resources}, steps[i]);
    if (!report)
      return std::move(report).error().with_context(fmt::format("in the filter {}", text));
    report->record["text"] = text;
    apply(*report, !std::holds_alternative<AgainstOptions>(steps[i]), left);
    result.reports.push_back(std::move(*report));
  }
  for (std::size_t i = 0; i < left.size(); ++i)
    result.documents.push_back({left.id(i), left.cuts(i)});
  return result;
}

}  // namespace ration::data::filter
