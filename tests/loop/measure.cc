// What loops cost and how often their intervals hold the truth, over simulated sweeps: the table of
// docs/closing-the-loop.md. Not a test; `tools/bench loop` builds and runs it.

#include <fmt/format.h>

#include <cstdlib>

#include "loop/world.h"

namespace {

using namespace ration;
using namespace ration::loop;

struct Way {
  const char* name;
  const char* goal;
  std::optional<fit::Gain> gain;
  double gamma;
};

void measure(const Way& way, int sweeps) {
  int reached = 0, inside = 0;
  double runs = 0, compute = 0;
  for (int number = 0; number < sweeps; ++number) {
    loop::test::World world(0.005, 1, number);
    loop::Options options = loop::test::options(way.goal);
    options.resamples = 100;
    options.gain = way.gain;
    options.gamma = way.gamma;
    options.threads = 0;
    const Decision last = world.play(options).back();
    const double truth =
        std::string_view(way.goal).find("rd_star") == std::string_view::npos
            ? plan::optimise(loop::test::law(), loop::test::kTruth, options.plan).epochs
            : std::exp(loop::test::kTruth[5]);
    const Measured& goal = last.goal.front();
    reached += last.verdict == Verdict::reached;
    inside += goal.low && goal.high && *goal.low <= truth && truth <= *goal.high;
    runs += static_cast<double>(last.done) / sweeps;
    compute += last.spent_flops / world.total() / sweeps;
  }
  fmt::print("| {} | {} | {} | {:.0f} | {:.1f} % | {} |\n",
             way.name,
             sweeps,
             reached,
             runs,
             100 * compute,
             inside);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int sweeps = argc > 1 ? std::atoi(argv[1]) : 20;
  fmt::print(
      "| choice | sweeps | reached | runs | compute, of all 120 runs | truth inside the 90 % "
      "interval at the end |\n"
      "| --- | --- | --- | --- | --- | --- |\n");
  const char* epochs = "interval(epochs) < 25%";
  for (const Way& way :
       {Way{"`--gain decision` (default)", epochs, fit::Gain::decision, 0.5},
        Way{"`--gain prediction`", epochs, fit::Gain::prediction, 0.5},
        Way{"`--gain prediction --gamma 1`", epochs, fit::Gain::prediction, 1},
        Way{"`interval(rd_star) < 50%` instead", "interval(rd_star) < 50%", {}, 0.5}})
    measure(way, sweeps);
}
