#include <algorithm>

#include "fuse/folder.h"
#include "fuse/rounds.h"
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
    // What began with an older base is late, and nobody is in by it.
    const bool in = is_in(events, id, progress.base) ||
                    std::any_of(sent->begin(), sent->end(), [&](const Submission& each) {
                      return each.contributor == id && each.from == progress.base;
                    });
    (in ? progress.arrived : progress.awaited).push_back(id);
  }
  return progress;
}

}  // namespace ration::fuse
