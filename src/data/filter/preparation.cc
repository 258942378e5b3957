#include "data/filter/preparation.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <unordered_map>

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "data/filter/texts.h"
#include "data/scan.h"
#include "data/stats.h"
#include "data/write_tokens.h"

namespace ration::data::filter {
namespace {

constexpr std::uint64_t kOverlapBytes = 100;

// Documents of a corpus, or of other text, spooled, with the names that people are shown.
class NamedTexts final : public DocumentSource {
 public:
  NamedTexts(MappedDocuments texts, std::vector<std::string> names)
      : texts_(std::move(texts)), names_(std::move(names)) {}

  std::size_t size() const override { return texts_.size(); }
  std::uint64_t bytes(std::size_t document) const override { return texts_.bytes(document); }
  Result<std::string_view> text(std::size_t document, std::string& buffer) const override {
    return texts_.text(document, buffer);
  }
  // The first folder of the path.
  std::string_view origin(std::size_t document) const override {
    const std::string_view name = names_[document];
    const std::size_t slash = name.find('/');
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
  }
  std::optional<std::string_view> contiguous() const override { return texts_.contiguous(); }
  const std::string& name(std::size_t document) const { return names_[document]; }

 private:
  MappedDocuments texts_;
  std::vector<std::string> names_;
};

struct Spool {
  TextSpool texts;
  std::vector<std::string> names = {};

  static Result<Spool> create(Files& files, const Path& scratch) {
    Result<TextSpool> texts = TextSpool::create(files, scratch);
    if (!texts) return std::move(texts).error();
    return Spool{*std::move(texts)};
  }
  Result<void> add(std::string name, std::string_view text) {
    names.push_back(std::move(name));
    return texts.add(text);
  }
  Result<NamedTexts> finish() && {
    Result<MappedDocuments> mapped = std::move(texts).finish();
    if (!mapped) return std::move(mapped).error();
    return NamedTexts(*std::move(mapped), std::move(names));
  }
};

using Texts = std::vector<DocumentText>;

// Adds the documents that are wanted, with `before` in front of their names.
Result<void> add_documents(const TextReader& reader,
                           const TextUnits::Chosen& wanted,
                           const std::string& before,
                           Spool& spool) {
  return for_each_text<Texts>(
      reader,
      wanted,
      [](Texts&& texts) { return Result<Texts>(std::move(texts)); },
      [&](Texts&& texts) -> Result<void> {
        for (const DocumentText& one : texts) {
          const Document& document = reader.corpus.documents[one.index];
          if (auto done = spool.add(before + reader.corpus.place(document), one.text); !done)
            return done;
        }
        return {};
      });
}

// What names other text in a record, and how to read prepared data.
struct OtherText {
  Json identity;
  std::unique_ptr<Tokenizer> tokenizer = nullptr;  // of prepared data
};

// Adds the documents of one split of prepared data, or of all other text, at `path`. Texts of any
// length count: questions of a test are short.
Result<OtherText> add_other(const TextReader& like, const Path& path, Split split, Spool& spool) {
  Files& files = like.files;
  if (!files.exists(path / "manifest.json")) {
    TextRules rules = like.rules;
    rules.min_document_bytes = 1;
    Result<Corpus> corpus = scan_text(files, path, rules, like.workforce, {});
    if (!corpus) return std::move(corpus).error();
    const TextReader reader{files, *corpus, rules, like.workforce};
    const auto all = [](std::size_t) { return true; };
    if (auto done = add_documents(reader, all, path.string() + ": ", spool); !done)
      return std::move(done).error();
    Sha256 hash;
    for (const SourceFile& source : corpus->sources) hash.update(source.sha256);
    Json identity = {{"text", path.filename().string()}, {"sha256", hash.hex()}};
    for (const auto& [reason, skips] : corpus->skipped)
      identity["skipped"][std::string(words_of(reason))] = skips.count;
    return OtherText{std::move(identity)};
  }
  Result<Manifest> manifest = read_manifest(files, path);
  if (!manifest) return std::move(manifest).error();
  Result<TokenPool> pool = TokenPool::open(files, path, *manifest, split);
  if (!pool) return std::move(pool).error();
  Result<std::unique_ptr<Tokenizer>> tokenizer = tokenizer_of(files, path, *manifest);
  if (!tokenizer) return std::move(tokenizer).error();
  const std::size_t documents = pool->document_starts().size() - 1;
  for (std::size_t i = 0; i < documents; ++i) {
    Result<std::string> text = document_text(*pool, **tokenizer, i);
    if (!text) return std::move(text).error();
    if (auto done = spool.add(fmt::format("{}: document {}", path.string(), i), *text); !done)
      return std::move(done).error();
  }
  return OtherText{{{"data", manifest->digest}}, *std::move(tokenizer)};
}

// Held-out text: the corpus's own, and what else must not be trained on.
struct HeldOut {
  NamedTexts texts;
  std::vector<std::size_t> ends = {};  // of the corpus's own documents, then of each other text
  Json identities = Json::array();     // of the others
};

Result<HeldOut> held_out_of(const TextReader& reader, const FilterPlan& plan, const Path& scratch) {
  Result<Spool> spool = Spool::create(reader.files, scratch);
  if (!spool) return std::move(spool).error();
  const auto held_out = [&](std::size_t i) { return reader.corpus.documents[i].use == Use::val; };
  if (auto done = add_documents(reader, held_out, "", *spool); !done)
    return std::move(done).error();
  std::vector<std::size_t> ends = {spool->names.size()};
  Json identities = Json::array();
  for (const Path& path : plan.against) {
    Result<OtherText> other = add_other(reader, path, Split::val, *spool);
    if (!other)
      return std::move(other).error().with_context(
          fmt::format("while reading the held-out text {} (--against)", path.string()));
    identities.push_back(std::move(other->identity));
    ends.push_back(spool->names.size());
  }
  Result<NamedTexts> texts = std::move(*spool).finish();
  if (!texts) return std::move(texts).error();
  return HeldOut{*std::move(texts), std::move(ends), std::move(identities)};
}

struct Reference {
  NamedTexts texts;
  Json identity;
  std::unique_ptr<Tokenizer> tokenizer;
};

// Lines of the reference's documents in a fixed random order, to learn pieces from.
class ReferenceLines {
 public:
  explicit ReferenceLines(const NamedTexts& texts) : texts_(texts) {
    for (std::size_t i = 0; i < texts.size(); ++i) order_.emplace_back(mix(i), i);
    std::sort(order_.begin(), order_.end());
  }
  std::optional<std::string> next() {
    constexpr std::size_t kLongest = 4096;
    if (given_ > kSample) return std::nullopt;
    while (text_.empty()) {
      if (at_ == order_.size()) return std::nullopt;
      text_ = texts_.text(order_[at_++].second, buffer_).value();  // mapped: nothing can fail
    }
    const std::size_t end = std::min(text_.find('\n'), text_.size());
    std::string line(text_.substr(0, whole_characters(text_, std::min(end, kLongest))));
    text_.remove_prefix(std::min(text_.size(), end + 1));
    given_ += line.size() + 1;
    return line;
  }

 private:
  static constexpr std::size_t kSample = 10'000'000;  // bytes, as for the vocabulary of a corpus
  const NamedTexts& texts_;
  std::vector<std::pair<std::uint64_t, std::size_t>> order_;
  std::size_t at_ = 0;
  std::size_t given_ = 0;
  std::string_view text_;
  std::string buffer_;
};

Result<std::unique_ptr<Tokenizer>> reference_tokenizer(Files& files,
                                                       const std::string& name,
                                                       const NamedTexts& texts) {
  Result<TokenizerChoice> choice = parse_tokenizer(name);
  if (!choice) return std::move(choice).error();
  if (choice->kind == TokenizerChoice::Kind::bytes) return byte_tokenizer();
  if (!choice->trained()) {
    Result<std::string> model = files.read(choice->model);
    if (!model) return std::move(model).error();
    return sentencepiece_tokenizer(*std::move(model), choice->model.string());
  }
  ReferenceLines lines(texts);
  Result<std::string> model = train_sentencepiece(*choice, [&] { return lines.next(); });
  if (!model)
    return std::move(model).error().with_context(
        "while learning the pieces of the reference (--reference-tokenizer)");
  return sentencepiece_tokenizer(*std::move(model), "the pieces of the reference");
}

Result<Reference> reference_of(const TextReader& reader,
                               const FilterPlan& plan,
                               const Path& scratch) {
  Result<Spool> spool = Spool::create(reader.files, scratch);
  if (!spool) return std::move(spool).error();
  Result<OtherText> other = add_other(reader, *plan.reference, Split::train, *spool);
  if (!other)
    return std::move(other).error().with_context(
        fmt::format("while reading the reference {} (--reference)", plan.reference->string()));
  Result<NamedTexts> texts = std::move(*spool).finish();
  if (!texts) return std::move(texts).error();
  if (other->tokenizer == nullptr) {
    Result<std::unique_ptr<Tokenizer>> learned =
        reference_tokenizer(reader.files, plan.reference_tokenizer, *texts);
    if (!learned) return std::move(learned).error();
    other->tokenizer = *std::move(learned);
  }
  return Reference{*std::move(texts), std::move(other->identity), std::move(other->tokenizer)};
}

struct Scores {
  std::vector<double> values;  // one a document
  std::string sha256;
};

Error bad_score(const Path& path, std::size_t line, const std::string& what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}, line {}: {}", path.string(), line, what),
          .hint = "a line is {\"document\": \"path\" or \"path:line\", \"score\": number}"};
}

Result<Scores> scores_of(const TextReader& reader, const Path& path, const NamedTexts& texts) {
  Result<std::string> bytes = reader.files.read(path);
  if (!bytes) return std::move(bytes).error().with_context("while reading scores");
  std::unordered_map<std::string, double> known;
  std::size_t number = 0;
  for (std::string_view rest = *bytes; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Result<Json> value = parse_json(line, path.string());
    if (!value || !value->is_object()) return bad_score(path, number, "this is no JSON object");
    if (value->contains("text_sha256") &&
        value->value("text_sha256", "") != digest_of(reader.corpus.sources))
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{} holds scores of other text", path.string()),
                   .hint =
                       "score this text, prepared with the same options but without filters, "
                       "with `ration data score`"};
    if (!value->contains("document")) continue;
    if (!(*value)["document"].is_string() || !value->contains("score") ||
        !(*value)["score"].is_number() || !std::isfinite((*value)["score"].get<double>()))
      return bad_score(path, number, "it needs a name and a finite score");
    const auto name = (*value)["document"].get<std::string>();
    if (!known.emplace(name, (*value)["score"].get<double>()).second)
      return bad_score(path, number, fmt::format("a second score of {}", name));
  }
  Scores scores{.values = {}, .sha256 = sha256_hex(*bytes)};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto found = known.find(texts.name(i));
    if (found == known.end())
      return Error{
          .kind = ErrorKind::input,
          .what = fmt::format(
              "{} has no score for the training document {}", path.string(), texts.name(i)),
          .hint =
              "score this text, prepared with the same options but without filters, "
              "with `ration data score`"};
    scores.values.push_back(found->second);
  }
  return scores;
}

template <class Kind>
bool holds(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return std::holds_alternative<Kind>(step);
  });
}

std::string why(const Step& step, const Change& change, const std::string& other) {
  struct Words {
    const Change& change;
    const std::string& other;
    std::string operator()(const ExactOptions&) const { return "equal to " + other; }
    std::string operator()(const NearOptions&) const {
      return fmt::format("similarity {:.2f} to {}", change.value, other);
    }
    std::string operator()(const RepeatOptions&) const {
      const std::string bytes = fmt::format("{:.0f} bytes stand elsewhere too", change.value);
      return other.empty() ? bytes : bytes + ", as in " + other;
    }
    std::string operator()(const AgainstOptions&) const {
      return fmt::format("{:.0f} bytes stand in held-out text: {}", change.value, other);
    }
    std::string operator()(const PerplexityOptions&) const {
      return fmt::format("score {:.4g}", change.value);
    }
  };
  return std::visit(Words{change, other}, step);
}

Json record_of(const FilterReport& report) {
  std::size_t cut = 0;
  for (const Change& change : report.changes) cut += change.verdict == Verdict::cut;
  Json record = report.record;
  record["documents_before"] = report.documents_before;
  record["documents_after"] = report.documents_after;
  record["documents_cut"] = cut;
  record["bytes_before"] = report.bytes_before;
  record["bytes_after"] = report.bytes_after;
  record["figures"] = report.figures;
  return record;
}

// The training documents, and which of the corpus each is.
struct Training {
  NamedTexts texts;
  std::vector<std::size_t> documents;
};

Result<Training> training_of(const TextReader& reader, const Path& scratch) {
  Result<Spool> spool = Spool::create(reader.files, scratch);
  if (!spool) return std::move(spool).error();
  std::vector<std::size_t> documents;
  for (std::size_t i = 0; i < reader.corpus.documents.size(); ++i)
    if (reader.corpus.documents[i].use == Use::train) documents.push_back(i);
  const auto trains = [&](std::size_t i) { return reader.corpus.documents[i].use == Use::train; };
  if (auto done = add_documents(reader, trains, "", *spool); !done) return std::move(done).error();
  Result<NamedTexts> texts = std::move(*spool).finish();
  if (!texts) return std::move(texts).error();
  return Training{*std::move(texts), std::move(documents)};
}

Result<Kept> apply(const TextReader& reader, const FilterPlan& plan, const Path& scratch) {
  if (plan.progress) plan.progress({"reading text for the filters", 0, 0});
  Result<Training> training = training_of(reader, scratch);
  if (!training) return std::move(training).error();
  StepInputs inputs;
  std::optional<HeldOut> held_out;
  if (holds<AgainstOptions>(plan.steps)) {
    Result<HeldOut> found = held_out_of(reader, plan, scratch);
    if (!found) return std::move(found).error();
    held_out = *std::move(found);
    inputs.held_out = &held_out->texts;
  }
  std::optional<Reference> reference;
  Scores scores;
  if (plan.reference) {
    Result<Reference> found = reference_of(reader, plan, scratch);
    if (!found) return std::move(found).error();
    reference = *std::move(found);
    inputs.reference = &reference->texts;
    inputs.tokenizer = reference->tokenizer.get();
  } else if (plan.scores) {
    Result<Scores> found = scores_of(reader, *plan.scores, training->texts);
    if (!found) return std::move(found).error();
    scores = *std::move(found);
    inputs.scores = scores.values;
    inputs.scores_sha256 = scores.sha256;
  }
  Resources resources = plan.resources;
  resources.scratch = scratch;
  Result<FilterResult> result = run_steps(
      training->texts, plan.steps, inputs, resources, [&](std::size_t, const std::string& step) {
        if (plan.progress) plan.progress({"filter " + step, 0, 0});
      });
  if (!result) return std::move(result).error();

  Kept kept;
  kept.record = {{"steps", Json::array()}};
  if (held_out) kept.record["against"] = held_out->identities;
  if (reference) kept.record["reference"] = reference->identity;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const FilterReport& report = result->reports[s];
    kept.record["steps"].push_back(record_of(report));
    const bool other_is_held_out = std::holds_alternative<AgainstOptions>(plan.steps[s]);
    for (const Change& change : report.changes) {
      if (change.verdict != Verdict::drop) continue;
      const std::string other = !change.other       ? ""
                                : other_is_held_out ? held_out->texts.name(*change.other)
                                                    : training->texts.name(*change.other);
      kept.dropped.push_back(
          {training->documents[change.document], why(plan.steps[s], change, other)});
    }
  }
  for (const KeptDocument& document : result->documents) {
    if (document.cuts.empty()) continue;
    std::vector<ByteSpan>& cuts = kept.cuts[training->documents[document.id]];
    for (const Span& span : document.cuts) cuts.push_back({span.begin, span.end});
  }
  return kept;
}

// Spans of the texts of some documents.
using SpansOf = std::vector<std::pair<std::size_t, std::vector<Span>>>;

// Adds what the training documents share with one part of the held-out text.
Result<void> find_in_training(const TextReader& reader,
                              const Kept& kept,
                              const HeldOutText& index,
                              const ProgressSink& progress,
                              std::map<std::size_t, std::vector<Span>>& shared) {
  const std::vector<Document>& documents = reader.corpus.documents;
  std::uint64_t done = 0, total = 0;
  for (const Document& document : documents)
    if (document.use == Use::train) total += document.bytes;
  return for_each_text<SpansOf>(
      reader,
      [&](std::size_t i) { return documents[i].use == Use::train; },
      [&](Texts&& texts) {
        SpansOf found;
        for (const DocumentText& one : texts) {
          const auto cuts = kept.cuts.find(one.index);
          found.emplace_back(
              one.index,
              index.find(cuts == kept.cuts.end() ? one.text : without(one.text, cuts->second))
                  .spans);
        }
        return Result<SpansOf>(std::move(found));
      },
      [&](SpansOf&& found) {
        for (auto& [document, spans] : found) {
          done += documents[document].bytes;
          if (!spans.empty()) add_spans(shared[document], spans);
        }
        if (progress) progress({"looking for held-out text", done, total});
        return Result<void>();
      });
}

// One of the held-out texts: how much of it was met.
Json met_of(const NamedTexts& texts,
            const std::vector<std::uint64_t>& met,
            std::size_t begin,
            std::size_t end) {
  std::uint64_t bytes = 0, bytes_met = 0, documents_met = 0;
  for (std::size_t i = begin; i < end; ++i) {
    bytes += texts.bytes(i);
    bytes_met += met[i];
    documents_met += met[i] > 0 ? 1 : 0;
  }
  return {{"documents", end - begin},
          {"bytes", bytes},
          {"documents_met", documents_met},
          {"bytes_met", bytes_met}};
}

Result<Json> count_overlap(const TextReader& reader,
                           const Kept& kept,
                           const FilterPlan& plan,
                           const Path& scratch) {
  if (plan.progress) plan.progress({"looking for held-out text", 0, 0});
  Result<HeldOut> held_out = held_out_of(reader, plan, scratch);
  if (!held_out) return std::move(held_out).error();
  const NamedTexts& texts = held_out->texts;
  Resources resources = plan.resources;
  resources.scratch = scratch;
  Result<std::vector<Part>> parts = parts_of_held_out(texts, kOverlapBytes, resources);
  if (!parts)
    return std::move(parts).error().with_context(
        "while looking for held-out text (--no-overlap-check leaves that out)");
  std::map<std::size_t, std::vector<Span>> shared;
  std::vector<std::uint64_t> met(texts.size());
  for (const Part& part : *parts) {
    Result<HeldOutText> index = HeldOutText::of(texts, part, kOverlapBytes, resources);
    if (!index) return std::move(index).error();
    if (auto done = find_in_training(reader, kept, *index, plan.progress, shared); !done)
      return std::move(done).error();
    for (std::size_t i = part.begin; i < part.end; ++i) met[i] = index->bytes_met(i);
  }
  std::uint64_t bytes = 0;
  for (const auto& [document, spans] : shared)
    for (const Span& span : spans) bytes += span.end - span.begin;
  for (std::size_t i = 0; i < held_out->identities.size(); ++i)
    held_out->identities[i].update(met_of(texts, met, held_out->ends[i], held_out->ends[i + 1]));
  return Json{{"length", kOverlapBytes},
              {"documents", shared.size()},
              {"bytes", bytes},
              {"own", met_of(texts, met, 0, held_out->ends[0])},
              {"against", std::move(held_out->identities)}};
}

}  // namespace

std::vector<Error> check(const FilterPlan& plan) {
  std::vector<Error> problems;
  const auto demand = [&](bool fine, std::string what, std::string hint) {
    if (!fine)
      problems.push_back(
          {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  const bool ranks = holds<PerplexityOptions>(plan.steps);
  demand(!ranks || plan.reference || plan.scores,
         "the filter perplexity needs something to judge by",
         "name text of the kind that is wanted with --reference, or scores with --scores");
  demand(!plan.reference || !plan.scores,
         "--reference and --scores are two ways to judge; one must be chosen",
         "leave one of them out");
  demand(ranks || (!plan.reference && !plan.scores),
         "--reference and --scores are for the filter perplexity alone",
         "add --filter perplexity:lowest=0.5, or leave them out");
  if (Result<TokenizerChoice> choice = parse_tokenizer(plan.reference_tokenizer); !choice)
    problems.push_back(std::move(choice).error().with_context("in --reference-tokenizer"));
  demand(plan.against.empty() || plan.count_overlap || holds<AgainstOptions>(plan.steps),
         "--against names held-out text, and --no-overlap-check says not to look for it",
         "leave one of them out");
  return problems;
}

DocumentFilter document_filter(FilterPlan plan) {
  if (plan.steps.empty()) return {};
  return [plan = std::move(plan)](const TextReader& reader, const Path& scratch) {
    return apply(reader, plan, scratch);
  };
}

OverlapCheck overlap_check(FilterPlan plan) {
  if (!plan.count_overlap) return {};
  return [plan = std::move(plan)](const TextReader& reader, const Kept& kept, const Path& scratch) {
    return count_overlap(reader, kept, plan, scratch);
  };
}

}  // namespace ration::data::filter
