#include "import/runs.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace ration::import {
namespace {

// Points of one step become one, later cells over earlier ones; in the order of steps.
void merge_steps(Run& run) {
  std::map<double, Point> by_step;
  for (Point& point : run.points) {
    if (!point.step) continue;
    const auto [place, is_new] = by_step.emplace(*point.step, point);
    if (is_new) continue;
    Point& merged = place->second;
    for (auto member : {&Point::params,
                        &Point::tokens,
                        &Point::unique,
                        &Point::epochs,
                        &Point::weight,
                        &Point::tokens_per_step})
      if (point.*member) merged.*member = point.*member;
    if (!point.loss) continue;
    merged.loss = point.loss, merged.raw_loss = point.raw_loss;
    merged.source = point.source, merged.row = point.row;
  }
  if (by_step.empty()) return;  // a history without steps: what is there stands for itself
  run.points.clear();
  for (auto& [step, point] : by_step) run.points.push_back(std::move(point));
}

}  // namespace

Runs runs_of(Inputs& inputs, const PointOptions& options, std::vector<Error>& problems) {
  Runs runs;
  std::map<std::string, std::size_t> histories;
  std::vector<Run> single;
  for (std::size_t t = 0; t < inputs.tables.size(); ++t)
    for (Point& point : points_of(inputs.tables[t], t, options, problems)) {
      if (!inputs.tables[t].history) {
        single.push_back({point.run, {point}, false});
        continue;
      }
      const auto [place, is_new] = histories.emplace(point.run, runs.all.size());
      if (is_new) runs.all.push_back({point.run, {}, true});
      runs.all[place->second].points.push_back(std::move(point));
    }

  // A row for a run that has a history tells about it, like a side table. Rows of one name are its
  // checkpoints where each has tokens of its own, else replicas.
  std::map<std::string, std::vector<Run>> same_name;
  std::vector<std::string> order;
  for (Run& run : single) {
    if (histories.contains(run.name)) {
      inputs.side_tables.push_back(inputs.tables[run.points[0].source]);
      inputs.side.emplace(run.name, run.points[0]);
      inputs.side_used.insert(run.name);
      continue;
    }
    std::vector<Run>& same = same_name[run.name];
    if (same.empty()) order.push_back(run.name);
    same.push_back(std::move(run));
  }
  for (const std::string& name : order) {
    std::vector<Run>& same = same_name[name];
    std::set<double> tokens;
    bool known = inputs.tables[same[0].points[0].source].source.shape != Shape::runs;
    for (const Run& run : same) {
      known = known && run.points[0].tokens;
      tokens.insert(run.points[0].tokens.value_or(0));
    }
    if (same.size() > 1 && known && tokens.size() == same.size()) {
      Run merged{name, {}, true};
      for (Run& run : same) {
        run.points[0].step = run.points[0].tokens;
        merged.points.push_back(run.points[0]);
      }
      runs.all.push_back(std::move(merged));
      continue;
    }
    for (std::size_t i = 0; i < same.size(); ++i) {
      if (i > 0) same[i].name = fmt::format("{} ({})", name, i + 1);
      runs.replicas += i > 0 ? 1 : 0;
      runs.all.push_back(std::move(same[i]));
    }
  }
  if (problems.empty())
    for (Run& run : runs.all)
      if (run.history) merge_steps(run);
  return runs;
}

}  // namespace ration::import
