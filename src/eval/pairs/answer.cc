#include "eval/pairs/answer.h"

#include <fmt/format.h>

#include <limits>

#include "base/hash.h"
#include "base/json.h"

namespace ration::eval {
namespace {

Error foreign(const std::string& file, std::size_t line, const std::string& what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}:{}: {}", file, line, what),
          .hint = "the trainer and this program belong together: take both from one build"};
}

Result<PairScores> header_of(const Json& json, const std::string& file, const Request& request) {
  if (json.value("schema", Json()) != "ration.pair-scores/1" ||
      json.value("list", Json()) != sha256_hex(request.text))
    return foreign(file, 1, "these are not the scores that were asked for");
  const auto text = [&](const char* name) {
    const Json value = json.value(name, Json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const auto number = [&](const char* name) {
    const Json value = json.value(name, Json());
    return value.is_number() ? value.get<double>() : 0.0;
  };
  PairScores scores{.checkpoint = text("checkpoint"),
                    .run = text("run"),
                    .tokens_computed = static_cast<std::int64_t>(number("tokens_computed")),
                    .tokens_alone = static_cast<std::int64_t>(number("tokens_alone")),
                    .seconds = number("seconds"),
                    .logp = {}};
  if (scores.checkpoint.empty()) return foreign(file, 1, "it names no checkpoint");
  return scores;
}

}  // namespace

Result<PairScores> parse_scores(std::string_view text,
                                const std::string& file,
                                const Request& request) {
  PairScores scores;
  std::size_t number = 1;
  for (; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Result<Json> line = parse_json(text.substr(0, end), file);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (!line || !line->is_object()) return foreign(file, number, "it is no JSON object");
    if (number == 1) {
      Result<PairScores> header = header_of(*line, file, request);
      if (!header) return header;
      scores = *std::move(header);
      continue;
    }
    const std::size_t choice = scores.logp.size();
    const Json values = line->value("logp", Json());
    if (line->value("choice", Json()) != choice || !values.is_array())
      return foreign(file, number, fmt::format("the scores of choice {} are due", choice));
    if (choice >= request.choices || values.size() != request.tokens[choice].size())
      return foreign(file, number, fmt::format("choice {} has another number of tokens", choice));
    std::vector<double>& logp = scores.logp.emplace_back();
    for (const Json& value : values)
      logp.push_back(value.is_number() ? value.get<double>()
                                       : std::numeric_limits<double>::quiet_NaN());
  }
  if (number == 1 || scores.logp.size() != request.choices)
    return foreign(
        file, number, fmt::format("{} choices are missing", request.choices - scores.logp.size()));
  return scores;
}

Result<ItemSums> item_sums(const PairTask& task, const Request& request, const PairScores& scores) {
  ItemSums sums;
  for (std::size_t i = 0; i < task.items.size(); ++i) {
    const PairItem& item = task.items[i];
    sums.emplace_back();
    for (const std::array<AskedChoice, 2>& both : request.asked[i]) {
      std::array<ChoiceSums, 2> pair;
      for (std::size_t c = 0; c < 2; ++c) {
        Result<ChoiceSums> one = sums_of(
            scores.logp[both[c].with], scores.logp[both[c].without], item.choices[c].size());
        if (!one) return std::move(one).error().with_context(task.where(item));
        pair[c] = *one;
      }
      sums.back().push_back(pair);
    }
  }
  return sums;
}

}  // namespace ration::eval
