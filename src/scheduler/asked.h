#pragma once

// The sweeps of one command: what each asks for, and the runs behind it as the machine sees them.

#include <set>
#include <string>
#include <vector>

#include "scheduler/history.h"
#include "scheduler/parents.h"
#include "scheduler/room.h"
#include "scheduler/scheduler.h"

namespace ration::scheduler {

// One of the sweeps that are carried out together.
struct Asked {
  const Sweep* sweep = nullptr;
  Expansion all;
  Expansion chosen;              // to be carried out
  std::set<std::string> wanted;  // ids of these
  store::SweepRow row = {};
  std::vector<store::RunRow> members = {};  // as they were before
};

// Runs of the sweeps, each as one of the first sweep that asks for it, and other runs that are
// alive: those are followed to their end, since they take up slots and nobody else records them.
struct Nodes {
  State state;
  std::vector<Tracked> tracked;
};

// Expands a sweep; what it leaves out, and why, is told to the observer.
Result<Asked> ask(const Sweep& sweep, const SweepOptions& options, Outside& outside);

// A run asks for its parents, too, and for theirs: each of the first sweep that has it.
void add_parents(std::vector<Asked>& sweeps);
// Before anything is written: keeps what children need, and asks for parents that nobody trains.
Result<void> prepare_parents(std::vector<Asked>& sweeps,
                             const SweepOptions& options,
                             Outside& outside);

// The sweeps must have been entered into the store.
Result<Nodes> gather(const store::Writer& store,
                     Outside& outside,
                     const std::vector<Asked>& sweeps);
// Lets runs wait for those that they need.
Result<void> connect_parents(const store::Writer& store,
                             const std::vector<Asked>& sweeps,
                             Nodes& nodes);
Result<void> give_room(const store::Writer& store,
                       const std::vector<Asked>& sweeps,
                       const SweepOptions& options,
                       const Room& room,
                       Nodes& nodes);
// What is used of the budget, and what each run would add.
Result<void> open_accounts(const store::Writer& store,
                           const std::vector<Asked>& sweeps,
                           Nodes& nodes);
Result<void> forgive_failures(Outside& outside, const Path& store, Nodes& nodes);
// Runs that nobody asks for here take up slots as long as they live: without a word that looks like
// a scheduler that does nothing.
void tell_of_others(const Nodes& nodes, Observer& observer);

// What became of one of the sweeps; what they share of the engine is added by the caller.
Result<RunSummary> summary_of(const store::Writer& store, const Asked& asked);

}  // namespace ration::scheduler
