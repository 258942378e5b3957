#include "cli/eval_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/text.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "tables/writer.h"

namespace ration::cli {
namespace {

using eval::Share;

// Percent with one decimal; "-" where there is none.
std::string percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f} %", 100 * share) : "-";
}

std::string interval(const eval::Interval& interval) {
  if (!std::isfinite(interval.low)) return "-";
  return fmt::format("{:.1f} to {:.1f}", 100 * interval.low, 100 * interval.high);
}

std::string named(const std::string& corpus, const std::string& name) {
  return without_control_bytes(corpus.empty() ? name : corpus + " " + name);
}

using Rows = std::vector<std::vector<std::string>>;

void add_rows(const std::string& what,
              std::size_t items,
              const std::vector<std::size_t>& prompts,
              const std::vector<Share>& shares,
              Rows& rows) {
  for (std::size_t q = 0; q < prompts.size(); ++q)
    rows.push_back({q == 0 ? what : "",
                    q == 0 ? fmt::to_string(items) : "",
                    fmt::format("P{}", prompts[q]),
                    percent(shares[q].value),
                    interval(shares[q].interval)});
}

std::string corpus_words(const eval::CorpusAccuracy& corpus) {
  return corpus.corpus.empty() ? std::string("all groups") : corpus.corpus;
}

std::string summary_text(const eval::Evaluation& evaluation, const eval::ScoreSummary& summary) {
  const std::vector<std::size_t>& prompts = evaluation.settings.request.prompts;
  Rows rows = {{"part", "items", "prompt", "accuracy", "95 %"}};
  for (const eval::CorpusAccuracy& corpus : summary.corpora)
    rows.push_back({fmt::format("{}, {}", corpus_words(corpus), counted(corpus.groups, "group")),
                    fmt::to_string(corpus.items),
                    "median",
                    percent(corpus.share.value),
                    interval(corpus.share.interval)});
  add_rows("pooled", evaluation.task.items.size(), prompts, summary.pooled, rows);
  for (std::size_t g = 0; g < summary.groups.size(); ++g)
    add_rows(named(evaluation.task.groups[g].corpus, evaluation.task.groups[g].name),
             summary.groups[g].items,
             prompts,
             summary.groups[g].prompts,
             rows);
  for (const eval::PartAccuracy& part : summary.parts)
    add_rows(fmt::format("{} {}", part.of, part.part), part.items, prompts, part.prompts, rows);
  std::string text = fmt::format("score {}{}\n{}",
                                 name_of(summary.score),
                                 summary.skip_first ? ", first token left out" : "",
                                 table(rows));
  for (std::size_t q = 0; q < prompts.size(); ++q)
    text += fmt::format("longer choice wins {} of P{}; it is the consistent one in {}\n",
                        percent(summary.longer_wins[q]),
                        prompts[q],
                        percent(summary.longer_is_consistent));
  return text;
}

std::string difference(double share) {
  return std::isfinite(share) ? fmt::format("{:+.1f} %", 100 * share) : "-";
}

std::string comparison_text(const eval::Evaluation& evaluation, std::size_t number) {
  const std::vector<std::size_t>& prompts = evaluation.settings.request.prompts;
  const eval::ScoreSummary& summary = evaluation.summaries[number];
  const eval::Comparison& comparison = evaluation.comparisons[number];
  Rows rows = {{"part", "prompt", "difference", "95 %", "only one right", "McNemar p"}};
  for (std::size_t c = 0; c < summary.corpora.size(); ++c)
    rows.push_back({corpus_words(summary.corpora[c]),
                    "median",
                    difference(comparison.corpora[c].value),
                    interval(comparison.corpora[c].interval),
                    "-",
                    "-"});
  for (std::size_t q = 0; q < prompts.size(); ++q)
    rows.push_back({"pooled",
                    fmt::format("P{}", prompts[q]),
                    difference(comparison.pooled[q].value),
                    interval(comparison.pooled[q].interval),
                    "-",
                    "-"});
  for (std::size_t g = 0; g < comparison.groups.size(); ++g)
    for (std::size_t q = 0; q < prompts.size(); ++q) {
      const eval::GroupDifference& group = comparison.groups[g][q];
      rows.push_back({named(evaluation.task.groups[g].corpus, evaluation.task.groups[g].name),
                      fmt::format("P{}", prompts[q]),
                      difference(group.difference),
                      "-",
                      fmt::format("{} and {}", group.only_second, group.only_first),
                      fmt::format("{:.3g}", group.p)});
    }
  return fmt::format("score {}: {} less {}\n{}",
                     name_of(summary.score),
                     without_control_bytes(evaluation.judge.name),
                     without_control_bytes(evaluation.against->name),
                     table(rows));
}

std::vector<tables::Column> item_columns() {
  using enum tables::Type;
  std::vector<tables::Column> columns = {{"file", text},
                                         {"line", whole},
                                         {"id", text},
                                         {"corpus", text},
                                         {"group", text},
                                         {"document", whole},
                                         {"prompt", whole},
                                         {"label", whole},
                                         {"verbatim", whole}};
  for (const char* choice : {"0", "1"})
    for (const auto& [name, type] : {std::pair{"tokens_", whole},
                                     {"bytes_", whole},
                                     {"first_token_", whole},
                                     {"sum_", real},
                                     {"sum_without_", real},
                                     {"gain_", real},
                                     {"first_", real},
                                     {"first_without_", real}})
      columns.push_back({name + std::string(choice), type});
  return columns;
}

std::int64_t whole_number(std::size_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

std::string eval_text(const eval::Evaluation& evaluation) {
  const eval::PairTask& task = evaluation.task;
  std::string text = fmt::format(
      "{}: {} items on {}, {}; checkpoint {}{}\n",
      evaluation.settings.task,
      task.items.size(),
      counted(task.documents, "document"),
      counted(task.files.size(), "file"),
      without_control_bytes(evaluation.judge.name),
      evaluation.judge.step > 0 ? fmt::format(", step {}", evaluation.judge.step) : std::string());
  for (const eval::ScoreSummary& summary : evaluation.summaries)
    text += "\n" + summary_text(evaluation, summary);
  for (std::size_t i = 0; i < evaluation.comparisons.size(); ++i)
    text += "\n" + comparison_text(evaluation, i);
  return text;
}

std::string items_csv(const eval::PairTask& task,
                      const eval::Request& request,
                      const eval::RequestOptions& options,
                      const eval::ItemSums& sums) {
  std::string csv;
  const auto writer =
      tables::make_writer(tables::Format::csv, item_columns(), [&](std::string_view bytes) {
        csv += bytes;
        return Result<void>();
      });
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    const eval::PairItem& item = task.items[i];
    for (std::size_t q = 0; q < options.prompts.size(); ++q) {
      tables::Row row = {task.files[item.file].path,
                         whole_number(item.line),
                         item.id,
                         task.groups[item.group].corpus,
                         task.groups[item.group].name,
                         whole_number(item.cluster),
                         whole_number(options.prompts[q]),
                         whole_number(item.label),
                         std::int64_t{item.verbatim}};
      for (std::size_t c = 0; c < 2; ++c) {
        const eval::ChoiceSums& choice = sums[i][q][c];
        row.insert(row.end(),
                   {whole_number(choice.tokens),
                    whole_number(choice.bytes),
                    std::int64_t{request.asked[i][q][c].first},
                    choice.with,
                    choice.without,
                    choice.gain,
                    choice.first_with,
                    choice.first_without});
      }
      static_cast<void>(writer->add(row));  // a text in memory takes all
    }
  }
  static_cast<void>(writer->finish());
  return csv;
}

}  // namespace ration::cli
