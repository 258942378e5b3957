#include "scheduler/capacity.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace ration::scheduler {
namespace {

// Part of a GPU's memory that is not given away: contexts, fragments, and what a run did not
// foresee.
constexpr double kReserve = 0.1;
constexpr double kRounding = 1e-9;  // three thirds are a whole

// Of one GPU; more than 1 when it is too small.
double share_of(const Need& need, const Gpu& gpu) {
  if (need.gpu_bytes > 0) return gpu.bytes > 0 ? need.gpu_bytes / ((1 - kReserve) * gpu.bytes) : 1;
  return need.gpu_share > 0 ? need.gpu_share : 1;
}

}  // namespace

bool packed(const Need& need) {
  return need.gpus > 0 && (need.gpu_bytes > 0 || (need.gpu_share > 0 && need.gpu_share < 1));
}

Need alone(Need need) {
  need.gpu_share = 0;
  need.gpu_bytes = 0;
  return need;
}

Occupancy::Occupancy(Capacity capacity)
    : capacity_(std::move(capacity)), shares_(capacity_.gpus.size()) {}

bool Occupancy::possible(const Need& need) const {
  if (need.gpus == 0 || capacity_.gpus.empty()) return true;
  const auto large_enough =
      std::count_if(capacity_.gpus.begin(), capacity_.gpus.end(), [&](const Gpu& gpu) {
        return share_of(need, gpu) <= 1 + kRounding;
      });
  return large_enough >= need.gpus;
}

bool Occupancy::fits(const Need& need) const {
  if (capacity_.threads > 0 &&
      threads_ + std::min(need.threads, capacity_.threads) > capacity_.threads)
    return false;
  if (need.gpus == 0 || capacity_.gpus.empty()) return true;
  int free = 0;
  for (std::size_t i = 0; i < shares_.size(); ++i)
    free += shares_[i] + share_of(need, capacity_.gpus[i]) <= 1 + kRounding ? 1 : 0;
  return free >= need.gpus;
}

std::optional<Seat> Occupancy::find(const Need& need) const {
  if (!fits(need)) return std::nullopt;
  Seat seat{.threads = std::min(need.threads, capacity_.threads)};
  for (std::size_t i = 0;
       i < shares_.size() && seat.gpus.size() < static_cast<std::size_t>(need.gpus);
       ++i) {
    const double share = share_of(need, capacity_.gpus[i]);
    if (shares_[i] + share <= 1 + kRounding) seat.gpus.emplace_back(i, share);
  }
  return seat;
}

Seat Occupancy::seat_of(const Need& need, const std::vector<std::string>& uuids) const {
  Seat seat{.threads = std::min(need.threads, capacity_.threads)};
  for (std::size_t i = 0; i < capacity_.gpus.size(); ++i)
    if (std::find(uuids.begin(), uuids.end(), capacity_.gpus[i].uuid) != uuids.end())
      seat.gpus.emplace_back(i, share_of(need, capacity_.gpus[i]));
  return seat;
}

void Occupancy::take(const Seat& seat) {
  threads_ += seat.threads;
  for (const auto& [gpu, share] : seat.gpus) shares_[gpu] += share;
}

void Occupancy::leave(const Seat& seat) {
  threads_ -= seat.threads;
  for (const auto& [gpu, share] : seat.gpus) {
    shares_[gpu] -= share;
    if (shares_[gpu] < kRounding) shares_[gpu] = 0;
  }
}

std::string describe_gpus(const Need& need) {
  const std::string each = need.gpu_bytes > 0
                               ? format_quantity(need.gpu_bytes, "B") + " of a GPU's memory"
                           : need.gpu_share > 0 ? fmt::format("{:.3g} of a GPU", need.gpu_share)
                                                : std::string("a GPU");
  return need.gpus == 1 ? each : fmt::format("{} times {}", need.gpus, each);
}

}  // namespace ration::scheduler
