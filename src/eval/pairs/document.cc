#include "eval/pairs/document.h"

#include <cmath>
#include <limits>

namespace ration::eval {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json judge_json(const Judge& judge) {
  return {{"name", judge.name},
          {"sha256", judge.sha256},
          {"run", text_or_null(judge.run)},
          {"step", judge.step > 0 ? Json(judge.step) : Json()}};
}

Json task_json(const Evaluation& evaluation) {
  Json files = Json::array();
  for (const TaskFile& file : evaluation.task.files)
    files.push_back({{"path", file.path},
                     {"sha256", file.sha256},
                     {"items", file.items},
                     {"tags_stripped", file.stripped}});
  return {{"name", evaluation.settings.task},
          {"digest", evaluation.task.digest()},
          {"items", evaluation.task.items.size()},
          {"documents", evaluation.task.documents},
          {"files", std::move(files)}};
}

Json settings_json(const Evaluation& evaluation) {
  const EvaluationSettings& settings = evaluation.settings;
  return {{"prompts", settings.request.prompts},
          {"context", settings.request.context},
          {"prompt_tokens", evaluation.request.prompt_limit},
          {"tokenizer_sha256", text_or_null(settings.tokenizer)},
          {"draws", settings.draws.draws},
          {"seed", settings.draws.seed}};
}

// One accuracy. `prompt` is null for medians over the prompts.
Json row(const ScoreSummary& summary,
         const char* part,
         const std::string& name,
         const std::string& corpus,
         Json prompt,
         std::size_t items,
         const Share& share) {
  return {{"score", name_of(summary.score)},
          {"skip_first", summary.skip_first},
          {"part", part},
          {"name", name},
          {"corpus", corpus},
          {"prompt", std::move(prompt)},
          {"n", items},
          {"accuracy", number(share.value)},
          {"low", number(share.interval.low)},
          {"high", number(share.interval.high)}};
}

void add_results(const Evaluation& evaluation, const ScoreSummary& summary, Json& results) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::size_t>& prompts = evaluation.settings.request.prompts;
  const PairTask& task = evaluation.task;
  for (std::size_t q = 0; q < prompts.size(); ++q)
    results.push_back(
        row(summary, "pooled", "", "", prompts[q], task.items.size(), summary.pooled[q]));
  for (const CorpusAccuracy& corpus : summary.corpora)
    results.push_back(
        row(summary, "corpus", corpus.corpus, corpus.corpus, nullptr, corpus.items, corpus.share));
  for (std::size_t g = 0; g < task.groups.size(); ++g) {
    const PairGroup& named = task.groups[g];
    const GroupAccuracy& group = summary.groups[g];
    for (std::size_t q = 0; q < prompts.size(); ++q)
      results.push_back(row(
          summary, "group", named.name, named.corpus, prompts[q], named.items, group.prompts[q]));
    results.push_back(row(summary,
                          "group",
                          named.name,
                          named.corpus,
                          nullptr,
                          named.items,
                          {group.median, {kNone, kNone}}));
  }
  for (const PartAccuracy& part : summary.parts)
    for (std::size_t q = 0; q < prompts.size(); ++q)
      results.push_back(
          row(summary, part.of.c_str(), part.part, "", prompts[q], part.items, part.prompts[q]));
}

void add_lengths(const Evaluation& evaluation, const ScoreSummary& summary, Json& lengths) {
  const std::vector<std::size_t>& prompts = evaluation.settings.request.prompts;
  for (std::size_t q = 0; q < prompts.size(); ++q)
    lengths.push_back({{"score", name_of(summary.score)},
                       {"skip_first", summary.skip_first},
                       {"prompt", prompts[q]},
                       {"longer_wins", number(summary.longer_wins[q])},
                       {"longer_is_consistent", number(summary.longer_is_consistent)}});
}

Json difference(const Share& share) {
  return {{"difference", number(share.value)},
          {"low", number(share.interval.low)},
          {"high", number(share.interval.high)}};
}

void add_differences(const Evaluation& evaluation, std::size_t number_of, Json& differences) {
  const ScoreSummary& summary = evaluation.summaries[number_of];
  const Comparison& comparison = evaluation.comparisons[number_of];
  const std::vector<std::size_t>& prompts = evaluation.settings.request.prompts;
  const auto add = [&](const char* part, const std::string& name, Json prompt, Json values) {
    values.update({{"score", name_of(summary.score)},
                   {"skip_first", summary.skip_first},
                   {"part", part},
                   {"name", name},
                   {"prompt", std::move(prompt)}});
    differences.push_back(std::move(values));
  };
  for (std::size_t q = 0; q < prompts.size(); ++q)
    add("pooled", "", prompts[q], difference(comparison.pooled[q]));
  for (std::size_t c = 0; c < summary.corpora.size(); ++c)
    add("corpus", summary.corpora[c].corpus, nullptr, difference(comparison.corpora[c]));
  for (std::size_t g = 0; g < comparison.groups.size(); ++g)
    for (std::size_t q = 0; q < prompts.size(); ++q) {
      const GroupDifference& group = comparison.groups[g][q];
      add("group",
          evaluation.task.groups[g].name,
          prompts[q],
          {{"corpus", evaluation.task.groups[g].corpus},
           {"difference", number(group.difference)},
           {"only_against", group.only_first},
           {"only_checkpoint", group.only_second},
           {"p", group.p}});
    }
}

// Ids need not be UTF-8.
std::string text_of(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string heading(const char* schema, const std::string& checkpoint) {
  return text_of({{"schema", schema}, {"checkpoint", checkpoint}}) + "\n";
}

// Which choice a line is of.
Json place_of(const PairTask& task, std::size_t number, std::size_t prompt, std::size_t choice) {
  const PairItem& item = task.items[number];
  return {{"item", number},
          {"id", item.id},
          {"line", item.line},
          {"prompt", prompt},
          {"choice", choice},
          {"consistent", choice == item.label},
          {"bytes", item.choices[choice].size()}};
}

}  // namespace

Json document_of(const Evaluation& evaluation) {
  Json results = Json::array(), lengths = Json::array(), differences = Json::array();
  for (const ScoreSummary& summary : evaluation.summaries) {
    add_results(evaluation, summary, results);
    add_lengths(evaluation, summary, lengths);
  }
  for (std::size_t i = 0; i < evaluation.comparisons.size(); ++i)
    add_differences(evaluation, i, differences);
  Json document = {
      {"schema", "ration.eval/1"},
      {"task", task_json(evaluation)},
      {"checkpoint", judge_json(evaluation.judge)},
      {"settings", settings_json(evaluation)},
      {"cut",
       {{"documents", evaluation.request.documents_cut}, {"bytes", evaluation.request.bytes_cut}}},
      {"cost",
       {{"tokens_computed", evaluation.tokens_computed},
        {"tokens_alone", evaluation.tokens_alone}}},
      {"results", std::move(results)},
      {"lengths", std::move(lengths)}};
  if (evaluation.against) {
    document["against"] = judge_json(*evaluation.against);
    document["differences"] = std::move(differences);
  }
  return document;
}

std::string sums_text(const PairTask& task,
                      const Request& request,
                      const RequestOptions& options,
                      const std::string& checkpoint,
                      const ItemSums& sums) {
  std::string lines = heading("ration.eval_sums/1", checkpoint);
  for (std::size_t i = 0; i < task.items.size(); ++i)
    for (std::size_t q = 0; q < options.prompts.size(); ++q)
      for (std::size_t c = 0; c < 2; ++c) {
        const ChoiceSums& choice = sums[i][q][c];
        Json line = place_of(task, i, options.prompts[q], c);
        line.update({{"tokens", choice.tokens},
                     {"first_token", request.asked[i][q][c].first},
                     {"sum", choice.with},
                     {"sum_without", choice.without},
                     {"first", choice.first_with},
                     {"first_without", choice.first_without}});
        lines += text_of(line) + "\n";
      }
  return lines;
}

std::string tokens_text(const PairTask& task,
                        const Request& request,
                        const RequestOptions& options,
                        const PairScores& scores) {
  std::string lines = heading("ration.eval_tokens/1", scores.checkpoint);
  for (std::size_t i = 0; i < task.items.size(); ++i)
    for (std::size_t q = 0; q < options.prompts.size(); ++q)
      for (std::size_t c = 0; c < 2; ++c) {
        const AskedChoice& asked = request.asked[i][q][c];
        Json line = place_of(task, i, options.prompts[q], c);
        line.update({{"tokens", request.tokens[asked.with]},
                     {"logp", scores.logp[asked.with]},
                     {"logp_without", scores.logp[asked.without]}});
        lines += text_of(line) + "\n";
      }
  return lines;
}

}  // namespace ration::eval
