// The file that a run with `points` leaves.

#include <fmt/format.h>

#include <limits>

#include "eval/points.h"

namespace ration::eval {
namespace {

Error wrong(const std::string& file, std::size_t line, std::string what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}:{}: {}", file, line, what),
          .hint = "docs/formats.md shows points.jsonl; `ration retry RUN` evaluates again"};
}

// Numbers that are not finite stand as text, as in event logs.
Result<double> number(const Json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "inf") return std::numeric_limits<double>::infinity();
  if (json == "-inf") return -std::numeric_limits<double>::infinity();
  if (json == "nan") return std::numeric_limits<double>::quiet_NaN();
  return Error{.kind = ErrorKind::input, .what = "a loss is no number"};
}

Result<PointLoss> loss_of(const Json& json) {
  const auto bad = [](std::string what) {
    return Error{.kind = ErrorKind::input, .what = std::move(what)};
  };
  if (!json.is_object()) return bad("it is no object");
  const Json tokens = json.value("tokens", Json());
  const Json point = json.value("point", Json()), corpus = json.value("corpus", Json());
  if (!point.is_string() || !corpus.is_string()) return bad("it names no point and corpus");
  if (!json.contains("loss_nats")) return bad("it has no loss_nats");
  if (!tokens.is_number_integer() || tokens.get<std::int64_t>() < 1) return bad("it has no tokens");
  Result<double> loss = number(json.at("loss_nats"));
  if (!loss) return std::move(loss).error();
  PointLoss found{
      .point = point, .corpus = corpus, .loss = *loss, .tokens = tokens.get<std::int64_t>()};
  for (const Json& each : json.value("sequences", Json::array())) {
    Result<double> window = number(each);
    if (!window) return std::move(window).error();
    found.sequences.push_back(*window);
  }
  return found;
}

struct Asked {
  const std::string* point = nullptr;
  const std::string* corpus = nullptr;
};

std::vector<Asked> asked_of(const run::PointList& list) {
  std::vector<Asked> asked;
  for (const run::Point& point : list.points) {
    if (point.corpora.empty())
      for (const run::PointCorpus& corpus : list.corpora)
        asked.push_back({&point.name, &corpus.name});
    for (const std::size_t corpus : point.corpora)
      asked.push_back({&point.name, &list.corpora[corpus].name});
  }
  return asked;
}

}  // namespace

Result<std::vector<PointLoss>> parse_losses(std::string_view text,
                                            const std::string& file,
                                            const run::PointList& list) {
  const std::vector<Asked> asked = asked_of(list);
  std::vector<PointLoss> losses;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Result<Json> json = parse_json(text.substr(0, end), file);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!json) return wrong(file, line, json.error().what);
    Result<PointLoss> loss = loss_of(*json);
    if (!loss) return wrong(file, line, loss.error().what);
    if (losses.size() == asked.size())
      return wrong(file, line, fmt::format("more lines than the {} asked for", asked.size()));
    const Asked& next = asked[losses.size()];
    if (loss->point != *next.point || loss->corpus != *next.corpus)
      return wrong(file,
                   line,
                   fmt::format("point \"{}\" on \"{}\" where \"{}\" on \"{}\" is due",
                               loss->point,
                               loss->corpus,
                               *next.point,
                               *next.corpus));
    if (list.sequences && loss->sequences.empty())
      return wrong(file, line, "it lacks the loss of each window");
    losses.push_back(*std::move(loss));
  }
  if (losses.size() < asked.size())
    return wrong(file,
                 losses.size() + 1,
                 fmt::format("ends before point \"{}\" on \"{}\"",
                             *asked[losses.size()].point,
                             *asked[losses.size()].corpus));
  return losses;
}

}  // namespace ration::eval
