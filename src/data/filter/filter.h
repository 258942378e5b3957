#pragma once

// Filters and deduplication: steps that take documents of a corpus away, each recorded so that it
// can be repeated. docs/filters.md says what each does and when it pays.
//
//   TextDocuments corpus(texts);
//   std::vector<Step> steps = {parse_step("exact").value(), parse_step("near:0.8").value()};
//   FilterResult kept = run_steps(corpus, steps, {}).value();
//   for (const KeptDocument& document : kept.documents) use(document.id, document.cuts);
//
// A step sees what the steps before it left. The result is a function of corpus, steps and inputs:
// threads and memory allowed change nothing but time.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/filter/against.h"
#include "data/filter/near.h"
#include "data/filter/perplexity.h"
#include "data/filter/repeats.h"
#include "data/filter/report.h"

namespace ration::data::filter {

struct ExactOptions {};  // nothing to choose

using Step =
    std::variant<ExactOptions, NearOptions, RepeatOptions, AgainstOptions, PerplexityOptions>;

// A step as people type it: the name, and options behind colons, all but the marked ones optional:
//   exact
//   near:SIMILARITY:words=N:hashes=N:recall=P:bands=BxR|balanced:bucket=N:seed=N
//   repeats:BYTES:drop|first|cut:method=anchors|suffix-array
//   against:BYTES:drop|cut
//   perplexity:lowest=SHARE|middle=SHARE|band=LOW..HIGH:order=N:unit=token|byte
// Errors (ErrorKind::usage) name what is allowed.
Result<Step> parse_step(std::string_view text);

// The step with all options written out, as parse_step reads them.
std::string text_of(const Step& step);

// What some steps need besides the corpus; must outlive the call.
struct StepInputs {
  const DocumentSource* held_out = nullptr;   // of `against`
  const DocumentSource* reference = nullptr;  // of `perplexity`
  const Tokenizer* tokenizer = nullptr;       // of `perplexity`, for the reference
  // Of `perplexity` without a reference: one score for each document of the corpus, and what names
  // them in the record.
  std::optional<std::span<const double>> scores = {};
  std::string scores_sha256 = {};
};

struct KeptDocument {
  std::size_t id = 0;           // in the corpus
  std::vector<Span> cuts = {};  // bytes of its text that are left out; ascending, apart
  bool operator==(const KeptDocument&) const = default;
};

struct FilterResult {
  // One a step. Documents (changes, and `other` unless it belongs to another corpus) are numbered
  // as in the corpus; spans are bytes of the texts in the corpus; scores are in the order of the
  // documents that the step saw.
  std::vector<FilterReport> reports;
  std::vector<KeptDocument> documents;  // ascending
};

// Called before each step with its number and text.
using StepSink = std::function<void(std::size_t, const std::string&)>;

// Errors: usage (an option out of range, an input that a step needs is missing), and those of the
// steps; the text of the step stands in front.
Result<FilterResult> run_steps(const DocumentSource& source,
                               const std::vector<Step>& steps,
                               const StepInputs& inputs,
                               const Resources& resources = {},
                               const StepSink& sink = {});

}  // namespace ration::data::filter
