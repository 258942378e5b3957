#pragma once

// How far a fusion is, out of its files. Internal to the room.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fuse/fuse.h"
#include "fuse/journal.h"

namespace ration::fuse {

// What the journal says of one round.
struct RoundEvents {
  bool opened = false;
  std::optional<double> deadline;        // unix seconds
  std::vector<Contribution> arrived;     // in the order of their numbers; files absolute
  std::vector<std::int64_t> task_round;  // beside `arrived`: the round they were trained for
  bool closed = false;
  std::string why;                            // it was closed
  std::map<std::string, std::string> absent;  // contributor -> reason, when it was closed
  std::vector<std::string> pending;           // might still have come, when it was closed
};

class State {
 public:
  // Begins a fusion, or finds one that was begun. ErrorKind::usage where one of this name is
  // another.
  static Result<State> open(Files& files, const Config& config, const Setup& setup);
  // The same without writing anything; `base` is theta_0.
  static Result<State> look(Files& files, const Path& folder, const std::string& base);

  const Path& folder() const { return folder_; }
  const std::vector<RoundRecord>& rounds() const { return rounds_; }
  std::string base() const;                   // sha256 of the last base
  std::string velocity() const;               // sha256; empty = none
  std::vector<std::string> versions() const;  // async: theta_0 and every version since
  // Rounds since one last began with this base; 0 for the current one, and the number of the open
  // round for a base that no round began with.
  std::int64_t age_of(const std::string& base) const;
  RoundEvents events_of(std::int64_t round) const;
  bool aborted() const;

  // Each is durable when it returns.
  Result<void> open_round(std::int64_t round, std::optional<double> deadline);
  Result<void> extend(std::int64_t round, double deadline);
  Result<void> arrive(std::int64_t round,
                      const Contribution& contribution,
                      std::int64_t task_round);
  Result<void> close_round(std::int64_t round,
                           const std::string& why,
                           const std::map<std::string, std::string>& absent,
                           const std::vector<std::string>& pending);
  Result<void> abort(std::int64_t round);
  // What external contributors sent and nobody took yet, from number first on; and that number.
  Result<std::vector<Submission>> in_inbox() const;
  std::int64_t next_in_inbox() const;
  // Takes what external contributors sent since the last call, as arrivals of this round. How many.
  Result<std::int64_t> take_inbox(std::int64_t round);
  // Writes the manifest, after which the round is over.
  Result<void> finish_round(RoundRecord record);

 private:
  State(Files& files, Path folder, Journal journal)
      : files_(&files), folder_(std::move(folder)), journal_(std::move(journal)) {}
  Result<void> append(Json event);

  Files* files_;
  Path folder_;
  Journal journal_;
  std::string first_;  // sha256 of theta_0
  std::vector<RoundRecord> rounds_;
};

}  // namespace ration::fuse
