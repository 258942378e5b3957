#include "scheduler/room.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/text.h"
#include "scheduler/gpus.h"

namespace ration::scheduler {
namespace {

constexpr int kMostSlots = 1024;

bool may_use_gpu(const run::Execution& execution) { return execution.device != "cpu"; }

Error too_large(const PlannedRun& run, const Need& need, const Capacity& capacity) {
  double largest = 0;
  for (const Gpu& gpu : capacity.gpus) largest = std::max(largest, gpu.bytes);
  return {.kind = ErrorKind::usage,
          .what = fmt::format("run {} asks for {}; this machine has {} GPU{}, the largest with {}",
                              run.id.substr(0, 12),
                              describe_gpus(need),
                              capacity.gpus.size(),
                              capacity.gpus.size() == 1 ? "" : "s",
                              format_quantity(largest, "B")),
          .hint =
              "a tenth of a GPU's memory stays in reserve; ask for less with gpu_mem, "
              "--gpu-memory or `processes`, or use a larger GPU"};
}

// How many runs fit when they come in their order.
int fill(const Expansion& expansion, const SweepOptions& options, const Room& room) {
  Occupancy occupied(room.capacity);
  int count = 0;
  for (const PlannedRun& run : expansion.runs) {
    const std::optional<Seat> seat = occupied.find(need_of(run.execution, options, room));
    if (!seat || count == room.slots) break;
    occupied.take(*seat);
    ++count;
  }
  return std::max(1, count);
}

}  // namespace

Need need_of(const run::Execution& execution, const SweepOptions& options, const Room& room) {
  Need need{.threads = static_cast<int>(execution.threads * execution.processes)};
  if (room.capacity.gpus.empty() || !may_use_gpu(execution)) return need;
  need.gpus = static_cast<int>(execution.processes);
  // Processes of one run take GPUs by their numbers, one each.
  if (need.gpus > 1) return need;
  const bool own = execution.gpu > 0 || execution.gpu_mem > 0;
  need.gpu_bytes = own ? execution.gpu_mem : options.gpu_memory;
  if (need.gpu_bytes == 0) need.gpu_share = own ? execution.gpu : options.gpu_share;
  return need;
}

Result<Room> room_for(const Expansion& expansion, const SweepOptions& options, bool starts) {
  Room room;
  if (options.executor == ExecutorKind::slurm) {
    room.slots = room.at_once = options.slots > 0 ? options.slots : options.slurm.max_jobs;
    return room;
  }
  room.slots = options.slots > 0 ? options.slots : kMostSlots;
  if (options.slots == 0)
    room.capacity.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const bool any = std::any_of(expansion.runs.begin(),
                               expansion.runs.end(),
                               [](const PlannedRun& run) { return may_use_gpu(run.execution); });
  if (any && starts) {
    FoundGpus found = find_gpus();
    room.capacity.gpus = std::move(found.gpus);
    if (!found.trouble.empty()) room.warnings.push_back(std::move(found.trouble));
  }
  if (!any && !expansion.runs.empty() && (options.gpu_share > 0 || options.gpu_memory > 0))
    room.warnings.push_back(fmt::format("--gpu-{} does nothing: all runs have device = \"cpu\"",
                                        options.gpu_share > 0 ? "share" : "memory"));
  const Occupancy empty(room.capacity);
  for (const PlannedRun& run : expansion.runs)
    if (const Need need = need_of(run.execution, options, room); !empty.possible(need))
      return too_large(run, need, room.capacity);
  const bool counted = options.slots == 0 || !room.capacity.gpus.empty();
  room.at_once = counted ? fill(expansion, options, room) : options.slots;
  return room;
}

}  // namespace ration::scheduler
