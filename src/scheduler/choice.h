#pragma once

// Who is next: lines of runs that may start, the room that active runs take up, and the order.

#include <optional>

#include "scheduler/machine.h"

namespace ration::scheduler {

void put_in_line(State& state, std::size_t node);
void take_out_of_line(State& state, std::size_t node);

// A run takes up `seat`, and leaves what it took up.
void sit_down(State& state, const RunNode& node, const Seat& seat);
void stand_up(State& state, RunNode& node);

// The run to start next; nothing while all that are ready must wait for room.
std::optional<std::size_t> next_in_line(const State& state, double now);

// `next` is started: those that stand before it and do not fit begin to lose patience.
void note_overtaken(State& state, std::size_t next, double now);

}  // namespace ration::scheduler
