#include <algorithm>

#include "fuse/folder.h"
#include "fuse/state.h"

namespace ration::fuse {

Result<Progress> progress_of(Files& files, const Path& folder) {
  Result<Identity> identity = read_identity(files, folder);
  if (!identity) return std::move(identity).error();
  Result<State> state = State::look(files, folder, identity->base);
  if (!state) return std::move(state).error();
  Progress progress{.rounds = state->rounds(),
                    .of = identity->config.rounds,
                    .base = state->base(),
                    .open_round = 0};
  const auto next = static_cast<std::int64_t>(progress.rounds.size()) + 1;
  const RoundEvents events = state->events_of(next);
  if (!events.opened || next > progress.of) return progress;
  progress.open_round = next;
  progress.deadline = events.deadline;
  Result<std::vector<Submission>> sent = state->in_inbox();
  if (!sent) return std::move(sent).error();
  for (const std::size_t place : chosen(identity->config, next)) {
    const std::string& id = identity->config.contributors[place].id;
    const auto is_his = [&](const auto& each) { return each.contributor == id; };
    const bool in = std::any_of(events.arrived.begin(), events.arrived.end(), is_his) ||
                    std::any_of(sent->begin(), sent->end(), is_his);
    (in ? progress.arrived : progress.awaited).push_back(id);
  }
  return progress;
}

}  // namespace ration::fuse
