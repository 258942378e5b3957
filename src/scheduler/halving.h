#pragma once

// Asynchronous successive halving: at each rung, a fraction of their tokens, runs are compared by
// held-out loss, and those that are not among the best 1/eta so far end there. Nobody waits for the
// others: each run is judged as it arrives, by those that arrived before it.
//
//   Bracket bracket(Halving{});
//   if (const auto standing = bracket.reach(place, 0.35, 4.2); standing && standing->stops()) …
//
// Runs that differ in their seeds alone are one configuration: what counts is the mean of those of
// its runs that reached the rung.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ration::scheduler {

struct Halving {
  // At each rung the best 1/eta go on, 2 to 100. Three: with the same compute, the choice between 3
  // and 4 matters little, and 2 keeps half of the worst.
  double eta = 3;
  // Fractions of a run's tokens, rising, above 0 and below 1.
  std::vector<double> rungs = {1.0 / 9, 1.0 / 3};
  // Configurations that must have reached a rung before any is stopped there, 2 or more. Of fewer
  // than three, chance decides.
  int least = 3;

  bool operator==(const Halving&) const = default;
};

inline constexpr std::size_t kNoBracket = std::numeric_limits<std::size_t>::max();

// Where a run stands in a bracket.
struct Contestant {
  std::size_t bracket = kNoBracket;  // of State::brackets
  std::size_t configuration = 0;     // within it
  double tokens = 0;                 // of the whole run, above 0
  std::size_t rungs = 0;             // reached so far

  bool operator==(const Contestant&) const = default;
};

// How a configuration compares at a rung.
struct Standing {
  double rung = 0;       // fraction of the tokens
  double loss = 0;       // nats a token: the mean of its runs that reached it
  std::size_t rank = 1;  // 1 = the lowest loss
  std::size_t of = 1;    // configurations that reached it
  std::size_t best = 1;  // how many of these go on
  bool enough = false;   // Halving::least reached it

  bool stops() const { return enough && rank > best; }
};
std::string describe(const Standing& standing);

// Runs that are compared with one another.
class Bracket {
 public:
  explicit Bracket(Halving rule) : rule_(std::move(rule)), rungs_(rule_.rungs.size()) {}

  // The run has a loss, which is finite, at this many tokens. Its standing at the last of the rungs
  // that it reached with that; nothing when it reached none. Cost: linear in the configurations.
  std::optional<Standing> reach(Contestant& run, double tokens, double loss);

 private:
  struct Mean {
    double sum = 0;
    std::int64_t count = 0;
    double value() const { return sum / static_cast<double>(count); }
  };
  using Rung = std::map<std::size_t, Mean>;  // by configuration

  Standing standing(std::size_t rung, std::size_t configuration) const;

  Halving rule_;
  std::vector<Rung> rungs_;
};

}  // namespace ration::scheduler
