// What comes after its round was closed.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "fuse/folder.h"
#include "fuse/judge.h"
#include "fuse/measure.h"
#include "fuse/rounds.h"
#include "fuse/screen.h"

namespace ration::fuse {
namespace {

// The round's base + tau, as a file of its own: one contributor may be late twice.
Result<Path> moved(const Context& context, const Contribution& late, const RoundRecord& record) {
  const Path work = work_folder(context.folder) / fmt::format("late-{}", late.sequence);
  if (Result<void> made = context.files.make_folders(work); !made) return std::move(made).error();
  const Part part{late.contributor, late.file, base_file(context.folder, late.trained_from)};
  return effective(context.files, part, record.base_file, work, context.threads);
}

}  // namespace

std::vector<Task> late_tasks(const Context& context, const State& state) {
  const Config& config = context.config;
  std::vector<Task> tasks;
  if (config.late == Late::drop) return tasks;
  const auto now = static_cast<std::int64_t>(state.rounds().size()) + 1;
  const std::int64_t oldest = std::max<std::int64_t>(1, now - config.staleness_max);
  std::set<std::pair<std::string, std::int64_t>> came;
  for (std::int64_t round = oldest; round < now; ++round) {
    const RoundEvents events = state.events_of(round);
    for (std::size_t i = 0; i < events.arrived.size(); ++i)
      came.emplace(events.arrived[i].contributor, events.task_round[i]);
  }
  for (std::int64_t round = oldest; round < now; ++round)
    for (const std::string& id : state.events_of(round).pending)
      for (std::size_t place = 0; place < config.contributors.size(); ++place)
        if (config.contributors[place].id == id && !came.contains({id, round}))
          tasks.push_back(task_of(
              context, place, round, state.rounds()[static_cast<std::size_t>(round - 1)].base));
  return tasks;
}

Result<void> measure_late(const Context& context, RoundRecord& record) {
  std::vector<Contribution*> late;
  std::vector<Path> models;
  for (Contribution& each : record.contributions) {
    if (each.verdict != Verdict::late) continue;
    Result<bool> sound = check_format(context, each);
    if (!sound) return std::move(sound).error();
    if (!*sound) continue;
    Result<Path> model = moved(context, each, record);
    if (!model) return std::move(model).error();
    if (record.next != record.base) {
      Result<std::vector<double>> cosines = mean_cosines(
          context.files, record.base_file, {*model, record.next_file}, context.threads);
      if (!cosines) return std::move(cosines).error();
      each.cosine = cosines->front();
    }
    late.push_back(&each);
    models.push_back(std::move(*model));
  }
  if (late.empty() || !context.config.asks(Check::probe)) return {};
  Result<std::vector<std::vector<double>>> losses = context.hands.evaluate(models);
  if (!losses) return std::move(losses).error();
  for (std::size_t i = 0; i < late.size(); ++i) late[i]->probe = mean((*losses)[i]);
  return {};
}

}  // namespace ration::fuse
