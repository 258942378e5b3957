#pragma once

// Where the time of a step goes, for --bench: whoever computes says after each part what it was.

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace ration::train {

enum class Stage {
  data,
  attention,
  products,
  norms,
  activations,
  classifier,  // the head's product, loss and their gradients
  optimiser,   // gradient norm and AdamW
  processes,   // waiting for the other processes of the run
  rest,        // embeddings, residual sums, dropout, clearing of buffers
};

struct StageName {
  Stage stage;
  std::string_view name;  // as printed
};
inline constexpr std::array<StageName, 9> kStages = {{{Stage::data, "data"},
                                                      {Stage::attention, "attention"},
                                                      {Stage::products, "products"},
                                                      {Stage::norms, "norms"},
                                                      {Stage::activations, "activations"},
                                                      {Stage::classifier, "classifier"},
                                                      {Stage::optimiser, "optimiser"},
                                                      {Stage::processes, "processes"},
                                                      {Stage::rest, "rest"}}};

// Costs a look at the clock, 25 ns, for each part.
class StageClock {
 public:
  // The time until now belongs to nothing.
  void start() { last_ = Now::now(); }

  // The time since the last call belongs to `stage`.
  void lap(Stage stage) {
    const Now::time_point now = Now::now();
    seconds_[static_cast<std::size_t>(stage)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

  double seconds(Stage stage) const { return seconds_[static_cast<std::size_t>(stage)]; }

 private:
  using Now = std::chrono::steady_clock;
  Now::time_point last_ = Now::now();
  std::array<double, kStages.size()> seconds_{};
};

}  // namespace ration::train
