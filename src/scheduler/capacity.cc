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

std::optional<Seat> Occupancy::find(const Need& need,
                                    int threads,
                                    const std::vector<double>& shares) const {
  Seat seat;
  if (capacity_.threads > 0) {
    seat.threads = std::min(need.threads, capacity_.threads);
    if (threads + seat.threads > capacity_.threads) return std::nullopt;
  }
  if (need.gpus == 0 || capacity_.gpus.empty()) return seat;
  for (std::size_t i = 0;
       i < shares.size() && seat.gpus.size() < static_cast<std::size_t>(need.gpus);
       ++i) {
    const double share = share_of(need, capacity_.gpus[i]);
    if (shares[i] + share > 1 + kRounding) continue;
    seat.gpus.emplace_back(i, share);
  }
  if (seat.gpus.size() < static_cast<std::size_t>(need.gpus)) return std::nullopt;
  return seat;
}

bool Occupancy::possible(const Need& need) const {
  return find(need, 0, std::vector<double>(shares_.size())).has_value();
}

std::optional<Seat> Occupancy::find(const Need& need) const {
  return find(need, threads_, shares_);
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
