#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "data/stats.h"
#include "data/text_folder.h"
#include "report/vega.h"

namespace ration::cli {
namespace {

struct NamedStats {
  std::string name;  // "train", "val"
  data::SplitStats stats;
};

std::string token_text(const data::Tokenizer& tokenizer,
                       const data::Manifest& manifest,
                       std::uint32_t id) {
  if (id == static_cast<std::uint32_t>(manifest.end_token)) return "end of document";
  const auto number = static_cast<std::int32_t>(id);
  const std::string text = tokenizer.decode({&number, 1}).value_or("");
  return data::is_utf8(text) ? Json(text).dump() : fmt::format("byte {}", id);
}

Json stats_json(const data::SplitStats& stats,
                const data::Tokenizer& tokenizer,
                const data::Manifest& manifest,
                std::size_t most) {
  Json lengths = Json::object();
  for (std::size_t i = 0; i < data::kQuantiles.size(); ++i)
    lengths[fmt::format("{}", data::kQuantiles[i])] = stats.lengths[i];
  Json frequent = Json::array();
  for (std::size_t i = 0; i < std::min(most, stats.frequent.size()); ++i)
    frequent.push_back({{"id", stats.frequent[i].id},
                        {"count", stats.frequent[i].count},
                        {"text", token_text(tokenizer, manifest, stats.frequent[i].id)}});
  return {{"tokens", stats.tokens},
          {"documents", stats.documents},
          {"tokens_used", stats.tokens_used},
          {"duplicate_documents", stats.duplicates},
          {"duplicate_tokens", stats.duplicate_tokens},
          {"tokens_without_duplicates", stats.tokens - stats.duplicate_tokens},
          {"entropy_bits", stats.entropy_bits},
          {"zlib_ratio", stats.zlib_ratio},
          {"zlib_sample_bytes", stats.zlib_sample_bytes},
          {"document_tokens_quantiles", std::move(lengths)},
          {"document_tokens_powers_of_two", stats.length_histogram},
          {"frequent", std::move(frequent)}};
}

std::string stats_text(const std::vector<NamedStats>& splits,
                       const data::Tokenizer& tokenizer,
                       const data::Manifest& manifest,
                       std::size_t most) {
  std::vector<std::vector<std::string>> rows = {{"", "training", "held out"}};
  const auto row = [&](const std::string& name, const auto& value) {
    rows.push_back({name, value(splits[0].stats), value(splits[1].stats)});
  };
  using Stats = data::SplitStats;
  row("tokens", [](const Stats& s) { return fmt::to_string(s.tokens); });
  row("of documents seen first",
      [](const Stats& s) { return fmt::to_string(s.tokens - s.duplicate_tokens); });
  row("documents", [](const Stats& s) { return fmt::to_string(s.documents); });
  row("equal to an earlier one", [](const Stats& s) { return fmt::to_string(s.duplicates); });
  for (std::size_t i = 0; i < data::kQuantiles.size(); ++i)
    row(fmt::format("tokens a document, {:.0f} %", 100 * data::kQuantiles[i]),
        [i](const Stats& s) { return fmt::to_string(s.lengths[i]); });
  row("ids used", [](const Stats& s) { return fmt::to_string(s.tokens_used); });
  row("entropy, bits a token",
      [](const Stats& s) { return fmt::format("{:.3f}", s.entropy_bits); });
  row("zlib, compressed to", [](const Stats& s) { return fmt::format("{:.3f}", s.zlib_ratio); });
  std::string text = table(rows) + "\n";
  std::vector<std::vector<std::string>> frequent = {{"most frequent", "id", "count", "share"}};
  const data::SplitStats& train = splits[0].stats;
  for (std::size_t i = 0; i < std::min(most, train.frequent.size()); ++i) {
    const data::TokenCount& token = train.frequent[i];
    frequent.push_back(
        {token_text(tokenizer, manifest, token.id),
         fmt::to_string(token.id),
         fmt::to_string(token.count),
         fmt::format("{:.2f} %",
                     100 * static_cast<double>(token.count) / static_cast<double>(train.tokens))});
  }
  return text + table(frequent);
}

report::Figure lengths_figure(const std::vector<NamedStats>& splits) {
  Json rows = Json::array();
  for (const NamedStats& split : splits)
    for (std::size_t i = 0; i < split.stats.length_histogram.size(); ++i)
      rows.push_back({{"tokens", std::int64_t{1} << i},
                      {"share",
                       report::rounded(static_cast<double>(split.stats.length_histogram[i]) /
                                       static_cast<double>(split.stats.documents))},
                      {"split", split.name}});
  Json x = report::axis("tokens", "tokens a document (this many up to twice as many)", true);
  Json y = report::axis("share", "share of the documents", false);
  Json spec = {
      {"data", {{"values", rows}}},
      {"mark", {{"type", "line"}, {"point", true}}},
      {"encoding", {{"x", x}, {"y", y}, {"color", {{"field", "split"}, {"type", "nominal"}}}}},
      {"width", 480},
      {"height", 260}};
  return {.name = "lengths",
          .caption = "How long documents are: training and held-out documents should look alike.",
          .spec = report::top_level(std::move(spec), "Histogram of document lengths in tokens")};
}

report::Figure ranks_figure(const std::vector<NamedStats>& splits) {
  Json rows = Json::array();
  for (const NamedStats& split : splits) {
    double rank = 1;
    while (rank <= static_cast<double>(split.stats.frequent.size())) {
      const auto index = static_cast<std::size_t>(rank) - 1;
      rows.push_back({{"rank", index + 1},
                      {"share",
                       report::rounded(static_cast<double>(split.stats.frequent[index].count) /
                                       static_cast<double>(split.stats.tokens))},
                      {"split", split.name}});
      rank = std::max(rank + 1, rank * 1.2);
    }
  }
  Json spec = {{"data", {{"values", rows}}},
               {"mark", {{"type", "line"}, {"strokeWidth", 2}}},
               {"encoding",
                {{"x", report::axis("rank", "rank of the token", true)},
                 {"y", report::axis("share", "share of all tokens", true)},
                 {"color", {{"field", "split"}, {"type", "nominal"}}}}},
               {"width", 480},
               {"height", 260}};
  return {.name = "ranks",
          .caption =
              "How often each token occurs: an even slope down to the last ranks means that "
              "the whole vocabulary is in use.",
          .spec = report::top_level(std::move(spec), "Token frequency by rank")};
}

Result<int> run_stats(const Arguments& arguments) {
  const Path folder = arguments.positional[0];
  const Console& console = arguments.console;
  OptionReader read{arguments};
  const auto most = static_cast<std::size_t>(read.whole("frequent", 0, 1'000'000).value_or(10));
  if (!read.problems.empty()) return combine(std::move(read.problems), "options cannot be used");
  Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) return std::move(manifest).error();
  Result<std::unique_ptr<data::Tokenizer>> tokenizer =
      data::tokenizer_of(real_files(), folder, *manifest);
  if (!tokenizer) return std::move(tokenizer).error();
  std::vector<NamedStats> splits;
  for (const auto& [name, split] :
       {std::pair("train", data::Split::train), {"val", data::Split::val}}) {
    Result<data::TokenPool> pool = data::TokenPool::open(real_files(), folder, *manifest, split);
    if (!pool) return std::move(pool).error();
    Result<data::SplitStats> stats = data::split_stats(*pool, manifest->vocab, **tokenizer);
    if (!stats) return std::move(stats).error();
    splits.push_back({name, *std::move(stats)});
  }
  const std::string text = stats_text(splits, **tokenizer, *manifest, most);
  if (console.json) {
    Json document = {
        {"schema", "ration.stats/1"}, {"folder", folder.string()}, {"digest", manifest->digest}};
    for (const NamedStats& split : splits)
      document[split.name] = stats_json(split.stats, **tokenizer, *manifest, most);
    console.print_json(document);
  } else {
    console.print(without_control_bytes(text));
  }
  if (const std::optional<std::string> file = arguments.text("html")) {
    report::Page page{.title = "Data of " + folder.filename().string()};
    page.sections.push_back({.title = "Documents and tokens",
                             .paragraphs = {"Digest " + manifest->digest},
                             .figures = {lengths_figure(splits), ranks_figure(splits)}});
    if (Result<void> done = write_page(console, page, *file); !done) return std::move(done).error();
  }
  return 0;
}

}  // namespace

Command data_stats_command() {
  return {.name = "data stats",
          .summary = "Count what prepared data are made of: lengths, repeats, tokens",
          .arguments = "DIR",
          .min_arguments = 1,
          .max_arguments = 1,
          .options = {{.name = "frequent",
                       .value = "N",
                       .default_value = "10",
                       .help = "Most frequent tokens to list, 0 … 1000000."},
                      {.name = "html",
                       .value = "FILE",
                       .help = "Also write a page with figures of lengths and frequencies."}},
          .description =
              "Reads all tokens once. Repeats are exact: documents whose tokens are "
              "those of an earlier document.\n"
              "\n"
              "  ration data stats data/texts --html data.html",
          .execute = run_stats};
}

}  // namespace ration::cli
