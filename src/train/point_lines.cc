#include "train/point_lines.h"

#include <cmath>
#include <numeric>

namespace ration::train {
namespace {

Json number_or_word(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

bool is_number_or_word(const Json& value) {
  return value.is_number() || value == "nan" || value == "inf" || value == "-inf";
}

bool is_line_of(const Json& line,
                const run::PointList& list,
                const PointTask& task,
                std::int64_t context) {
  if (!line.is_object() || line.value("point", Json()) != list.points[task.point].name ||
      line.value("corpus", Json()) != list.corpora[task.corpus].name ||
      line.value("tokens", Json()) != task.windows * context ||
      !is_number_or_word(line.value("loss_nats", Json())))
    return false;
  const Json sequences = line.value("sequences", Json());
  return list.sequences
             ? sequences.is_array() && sequences.size() == static_cast<std::size_t>(task.windows)
             : sequences.is_null();
}

}  // namespace

std::vector<PointTask> point_tasks(const run::PointList& list,
                                   std::span<const std::int64_t> windows) {
  std::vector<std::size_t> all(list.corpora.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::vector<PointTask> tasks;
  for (std::size_t point = 0; point < list.points.size(); ++point) {
    const std::vector<std::size_t>& asked = list.points[point].corpora;
    for (const std::size_t corpus : asked.empty() ? all : asked)
      tasks.push_back({.point = point, .corpus = corpus, .windows = windows[corpus]});
  }
  return tasks;
}

std::string point_line(const run::PointList& list,
                       const PointTask& task,
                       std::span<const double> losses,
                       std::int64_t context) {
  const double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
  Json line = {{"point", list.points[task.point].name},
               {"corpus", list.corpora[task.corpus].name},
               {"loss_nats", number_or_word(sum / static_cast<double>(losses.size()))},
               {"tokens", task.windows * context}};
  if (list.sequences) {
    Json& sequences = line["sequences"] = Json::array();
    for (const double loss : losses) sequences.push_back(number_or_word(loss));
  }
  return line.dump() + "\n";
}

LinesDone lines_done(std::string_view text,
                     const run::PointList& list,
                     std::span<const PointTask> tasks,
                     std::int64_t context) {
  LinesDone done;
  while (done.lines < tasks.size()) {
    const std::size_t end = text.find('\n', done.bytes);
    if (end == std::string_view::npos) break;
    const Result<Json> line = parse_json(text.substr(done.bytes, end - done.bytes), "points.jsonl");
    if (!line || !is_line_of(*line, list, tasks[done.lines], context)) break;
    done.bytes = end + 1;
    ++done.lines;
  }
  return done;
}

}  // namespace ration::train
