#include "fuse/fuse.h"

#include <fmt/format.h>

#include "base/text.h"
#include "fuse/folder.h"
#include "fuse/hands.h"
#include "fuse/rounds.h"
#include "fuse/state.h"

namespace ration::fuse {
namespace {

std::string line_of(const RoundRecord& record) {
  std::size_t accepted = 0, refused = 0;
  for (const Contribution& each : record.contributions) {
    if (each.verdict == Verdict::accepted) ++accepted;
    if (each.verdict == Verdict::rejected) ++refused;
  }
  std::string line = fmt::format("round {}: {}, {} of {}",
                                 record.round,
                                 name(record.status),
                                 accepted,
                                 counted(record.contributions.size(), "contribution"));
  if (refused > 0) line += fmt::format(", {} rejected", refused);
  return line + fmt::format("; base {}", record.next.substr(0, 12));
}

// Only when a round is over: a worker of a killed call may still read what lies there.
Result<void> clear(Files& files, const Path& work) {
  if (Result<void> done = files.remove_all(work); !done) return done;
  return files.make_folders(work);
}

}  // namespace

int Summary::exit_code() const {
  return waiting.empty() ? 0 : ration::exit_code(ErrorKind::interrupted);
}

std::string Summary::one_line() const {
  std::string line = fmt::format("{}: {} of {} done, base {}",
                                 name,
                                 rounds.size(),
                                 counted(static_cast<std::size_t>(of), "round"),
                                 base.substr(0, 12));
  if (!waiting.empty()) line += "; " + waiting;
  return line;
}

Result<Summary> carry_out(const Config& config,
                          const Setup& setup,
                          const Hands& hands,
                          Files& files,
                          Clock& clock,
                          int threads) {
  Result<State> state = State::open(files, config, setup);
  if (!state) return std::move(state).error();
  if (state->aborted())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} was aborted", setup.name),
                 .hint = "begin it anew under another name; runs that are done are kept"};
  const Context context{.config = config,
                        .hands = hands,
                        .files = files,
                        .threads = threads,
                        .folder = state->folder()};
  Summary summary;
  summary.name = setup.name;
  summary.folder = state->folder();
  summary.of = config.rounds;
  while (static_cast<std::int64_t>(state->rounds().size()) < config.rounds) {
    Result<std::string> waits = config.mode == Mode::sync ? sync_round(context, *state, clock)
                                                          : async_round(context, *state, clock);
    if (!waits) return std::move(waits).error();
    summary.waiting = *waits;
    if (!summary.waiting.empty()) break;
    if (Result<void> done = clear(files, work_folder(state->folder())); !done)
      return std::move(done).error();
    hands.note(line_of(state->rounds().back()));
    for (const std::string& warning : state->rounds().back().warnings) hands.note(warning);
  }
  if (Result<void> done = files.remove_all(work_folder(state->folder())); !done)
    return std::move(done).error();
  summary.rounds = state->rounds();
  summary.base = state->base();
  summary.base_file = base_file(state->folder(), summary.base);
  return summary;
}

}  // namespace ration::fuse
