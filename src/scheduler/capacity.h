#pragma once

// What runs take up of a machine while they are active, and whether one more fits beside them.
//
//   Occupancy occupied(capacity);
//   if (const std::optional<Seat> seat = occupied.find(need)) occupied.take(*seat);

#include <compare>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ration::scheduler {

struct Gpu {
  std::string uuid;
  double bytes = 0;  // of memory; 0 = not known
};

// Of the place where attempts run.
struct Capacity {
  int threads = 0;             // at once; 0 = not counted
  std::vector<Gpu> gpus = {};  // empty = not counted
};

// What one run asks for. Where `gpus` is not 0, one of the next two at most says how much of each:
// neither = all of it.
struct Need {
  int threads = 1;  // all processes together; one that asks for more than there are has them all
  int gpus = 0;
  double gpu_share = 0;  // 0 to 1
  double gpu_bytes = 0;  // of its memory
  auto operator<=>(const Need&) const = default;
};

// Shares a GPU with others.
bool packed(const Need& need);
// The same with its GPU to itself.
Need alone(Need need);

// A place that was found for a need.
struct Seat {
  int threads = 0;
  std::vector<std::pair<std::size_t, double>> gpus = {};  // index in Capacity::gpus, share of it
};

class Occupancy {
 public:
  Occupancy() = default;  // nothing is counted
  explicit Occupancy(Capacity capacity);

  // On an empty machine it would fit.
  bool possible(const Need& need) const;
  // There is room for it now.
  bool fits(const Need& need) const;
  // Nothing while others are in the way. GPUs are filled one after the other, so that whole ones
  // stay free for whoever needs one.
  std::optional<Seat> find(const Need& need) const;
  // What a run with that need takes up that holds these GPUs; those that are not here are left out.
  Seat seat_of(const Need& need, const std::vector<std::string>& uuids) const;
  void take(const Seat& seat);
  void leave(const Seat& seat);

  const Capacity& capacity() const { return capacity_; }
  int threads() const { return threads_; }
  const std::vector<double>& shares() const { return shares_; }  // taken, of each GPU

 private:
  Capacity capacity_;
  int threads_ = 0;
  std::vector<double> shares_;
};

// "2 GPUs", "30 GiB of a GPU's memory"; for people.
std::string describe_gpus(const Need& need);

}  // namespace ration::scheduler
