#pragma once

// The graph of runs that wait for others (gate.h), as a part of the machine's state.
//
//   State state = …;  // with its nodes
//   if (Result<void> made = connect(state, {{6, fuse}, {7, evaluate}}); !made) …a cycle…
//   state = prepare(std::move(state), now);
//
// A run with a gate is blocked until that opens; its own retries after that are not. A run that
// fails with its gate stays blocked, and waits again as soon as a parent is retried. After a
// restart, give gates for results only to runs that have not begun: with what the others began is
// theirs to remember.

#include <map>

#include "base/result.h"
#include "scheduler/machine.h"

namespace ration::scheduler {

// Gives nodes their gates, by node. ErrorKind::usage, and nothing is changed: a parent that is no
// node, the node itself or there twice, a quorum of more than all, no parent at all, a deadline
// that is not above 0, runs that wait for one another in a circle (named in its order). Cost:
// linear in nodes and parents.
Result<void> connect(State& state, std::map<std::size_t, Gate> gates);

// Derives who waits for whom, and which results are there, from the nodes' states. Part of
// prepare().
void prepare_gates(State& state, double now);

// Those that wait for a node.
std::vector<std::size_t> children_of(const State& state, std::size_t node);

// What the state of `parent` means to `node`, which waits for it. True: it was absent, and may
// come.
bool judge_arrivals(State& state, std::size_t node, std::size_t parent);

// The node no longer waits.
void leave_gate(State& state, std::size_t node);

// A person retries the node: whether the checkpoints that it wants are there is asked again.
void ask_again(State& state, std::size_t node);

// The deadline is over, too few are there, and the rule gives them another: begins it.
void extend(State& state, std::size_t node, double now);

// Parents that are awaited and stalled themselves.
std::size_t held_parents(const State& state, const Gate& gate);

// A parent was started: the deadlines of those that wait for it begin.
void begin_deadlines(State& state, std::size_t parent, double now);

}  // namespace ration::scheduler
