#include "scheduler/choice.h"

#include <algorithm>
#include <tuple>

namespace ration::scheduler {
namespace {

constexpr double kPatience = 600;  // seconds for which a run lets smaller ones pass
constexpr double kForesight = 60;  // seconds; what runs now counts as used for so long

Lane lane_of(const RunNode& node) { return {.sweep = node.sweep, .need = need_of(node)}; }

// Part of the whole room that the run takes up: of what it takes most of.
double part_of(const State& s, const Seat& seat) {
  const Capacity& capacity = s.room.capacity();
  double part = 1.0 / std::max(1, s.policy.slots);
  if (capacity.threads > 0)
    part = std::max(part, static_cast<double>(seat.threads) / capacity.threads);
  double gpus = 0;
  for (const auto& [gpu, share] : seat.gpus) gpus += share;
  if (gpus > 0) part = std::max(part, gpus / static_cast<double>(capacity.gpus.size()));
  return part;
}

double gpu_part(const Need& need) {
  if (need.gpus == 0) return 0;
  return need.gpu_bytes > 0 ? need.gpu_bytes : need.gpu_share > 0 ? need.gpu_share : need.gpus;
}

// `a` stands before `b` in the order of starting.
bool precedes(const State& s, std::size_t a, std::size_t b) {
  const auto rank = [&](std::size_t index) {
    const RunNode& node = s.nodes[index];
    const SweepShare& sweep = s.sweeps[node.sweep];
    return std::tuple((sweep.used + kForesight * sweep.active) / sweep.weight,
                      -node.priority,
                      -gpu_part(need_of(node)),
                      index);
  };
  return rank(a) < rank(b);
}

}  // namespace

void put_in_line(State& state, std::size_t node) {
  state.ready[lane_of(state.nodes[node])].insert(node);
}

void take_out_of_line(State& state, std::size_t node) {
  const auto lane = state.ready.find(lane_of(state.nodes[node]));
  if (lane == state.ready.end()) return;
  lane->second.erase(node);
  if (lane->second.empty()) state.ready.erase(lane);
}

void sit_down(State& state, const RunNode& node, const Seat& seat) {
  state.room.take(seat);
  state.sweeps[node.sweep].active += part_of(state, seat);
}

void stand_up(State& state, RunNode& node) {
  const Seat seat = state.room.seat_of(need_of(node), node.gpus);
  state.room.leave(seat);
  double& active = state.sweeps[node.sweep].active;
  active = std::max(0.0, active - part_of(state, seat));
  node.gpus.clear();
}

std::optional<std::size_t> next_in_line(const State& state, double now) {
  std::optional<std::size_t> best;      // of those that fit
  std::optional<std::size_t> reserved;  // that lost patience first
  for (const auto& [lane, line] : state.ready) {
    const std::size_t head = *line.begin();
    const double overtaken = state.nodes[head].overtaken;
    if (overtaken >= 0 && now >= overtaken + kPatience &&
        (!reserved || overtaken < state.nodes[*reserved].overtaken))
      reserved = head;
    if (state.room.fits(lane.need) && (!best || precedes(state, head, *best))) best = head;
  }
  if (reserved && !state.room.fits(need_of(state.nodes[*reserved]))) return std::nullopt;
  return reserved ? reserved : best;
}

void note_overtaken(State& state, std::size_t next, double now) {
  for (const auto& [lane, line] : state.ready)
    if (RunNode& head = state.nodes[*line.begin()];
        head.overtaken < 0 && precedes(state, *line.begin(), next))
      head.overtaken = now;
}

}  // namespace ration::scheduler
