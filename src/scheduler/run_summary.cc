#include <fmt/format.h>

#include <unordered_map>

#include "base/text.h"
#include "scheduler/asked.h"

namespace ration::scheduler {

using store::RunRow;

namespace {

std::int64_t count(const RunSummary& summary, RunState state) {
  return summary.by_state[static_cast<std::size_t>(state)];
}

Result<void> summarise(const store::Writer& store,
                       const std::set<std::string>& wanted,
                       RunSummary& summary) {
  Result<std::vector<RunRow>> rows = store.runs(summary.sweep.id);
  if (!rows) return std::move(rows).error();
  for (RunRow& row : *rows) {
    if (!wanted.contains(row.run)) continue;
    ++summary.runs;
    ++summary.by_state[static_cast<std::size_t>(row.state)];
    summary.rows.push_back(std::move(row));
  }
  Result<std::vector<store::AttemptRow>> live = store.live_attempts();
  if (!live) return std::move(live).error();
  summary.left_running = static_cast<std::int64_t>(live->size());
  return {};
}

}  // namespace

Result<RunSummary> summary_of(const store::Writer& store, const Asked& asked) {
  RunSummary summary{.sweep = asked.row};
  std::unordered_map<std::string_view, std::int64_t> attempts;
  for (const RunRow& member : asked.members) {
    attempts[member.run] = member.attempts;
    if (asked.wanted.contains(member.run) &&
        (member.state == RunState::done || member.state == RunState::diverged))
      ++summary.reused;
  }
  if (Result<void> done = summarise(store, asked.wanted, summary); !done)
    return std::move(done).error();
  for (const RunRow& row : summary.rows) summary.launched += row.attempts - attempts[row.run];
  return summary;
}

int RunSummary::exit_code() const {
  if (detached) return 0;
  if (cause == StopCause::interrupt) return ration::exit_code(ErrorKind::interrupted);
  if (cause == StopCause::disk) return ration::exit_code(ErrorKind::resource);
  const std::int64_t good = count(*this, RunState::done) + count(*this, RunState::diverged) +
                            count(*this, RunState::stopped);
  return good == runs ? 0 : 1;
}

std::string RunSummary::one_line() const {
  std::string text = fmt::format("{} runs:", runs);
  for (int i = 0; i < store::kRunStates; ++i)
    if (by_state[static_cast<std::size_t>(i)] > 0)
      text += fmt::format(
          " {} {},", by_state[static_cast<std::size_t>(i)], store::name(static_cast<RunState>(i)));
  text.back() = ' ';
  text += fmt::format("in {}", format_duration(seconds));
  if (reused > 0) text += fmt::format(" ({} had a result before)", reused);
  return text;
}

}  // namespace ration::scheduler
