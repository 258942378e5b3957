// What members of [fuse] say of each other.

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "fuse/config_parts.h"

namespace ration::fuse {
namespace {

void check_weights(TableReader& read, const Config& config) {
  if (takes_weights(config) || config.weights == Weighting::uniform) return;
  const std::string why =
      fmt::format("has no effect: op = \"{}\" takes no weights", config.op.method);
  if (config.weights != Weighting::given)
    read.refuse("weights", why, "leave it out, or choose op = \"mean\"");
  else
    for (const Contributor& each : config.contributors)
      if (each.weight != 1)
        read.refuse(fmt::format("the weight of {}", each.id),
                    why,
                    "leave it out, or let weights = \"uniform\" say that all count alike");
}

void check_waiting(TableReader& read, const Config& config) {
  const bool extends = config.on_stall == Stall::extend;
  if (config.mode == Mode::async) {
    if (config.late != Late::drop)
      read.refuse("late",
                  "has no effect in mode = \"async\": no round is closed before an arrival",
                  "leave it out; staleness_max refuses what is too old");
    if (extends)
      read.refuse("on_stall",
                  "= \"extend\" has no effect in mode = \"async\": there is no deadline",
                  "wait, fuse_anyway or abort");
  } else if (extends && config.deadline_s == 0) {
    read.refuse("on_stall",
                "= \"extend\" has no effect: there is no deadline to extend",
                "deadline_s = \"30m\", or another on_stall");
  }
}

// A fault alters what is trained here; what is sent stays as it was sent.
void check_faults(TableReader& read, const Config& config) {
  bool any_left = false;  // for "*"
  for (const Contributor& each : config.contributors) {
    const auto fault = config.faults.find(each.id);
    if (!each.external && fault == config.faults.end()) any_left = true;
    if (each.external && fault != config.faults.end())
      read.refuse(fmt::format("faults: {} = \"{}\"", each.id, text_of(fault->second)),
                  fmt::format("has no effect: {} is external, and what it sends is taken as it is",
                              each.id),
                  "leave it out; whoever submits can alter the model");
  }
  if (config.faults.contains("*") && !any_left && !config.contributors.empty())
    read.refuse("faults: \"*\"",
                "has no effect: nobody is left who is trained here and has no fault of its own",
                "leave it out");
}

}  // namespace

// What asynchronous arrivals, which change the base one by one, have no use for.
void check_async(TableReader& read, const Config& config) {
  if (config.mode != Mode::async) return;
  const auto refuse = [&](bool wrong, const char* key, const char* hint) {
    if (wrong) read.refuse(key, "is for mode = \"sync\"", hint);
  };
  refuse(config.op.method != "average", "op", "async adds each contribution by itself");
  refuse(config.momentum != 0, "momentum", "leave it out");
  refuse(config.clip, "clip", "leave it out");
  refuse(config.rollback, "rollback", "screen = [\"format\", \"norm\", \"probe\"] refuses before");
  refuse(config.deadline_s != 0, "deadline_s", "nothing waits for a contribution that is late");
  refuse(config.weights == Weighting::tokens || config.weights == Weighting::inverse_loss,
         "weights",
         "there is nothing to normalise over; \"given\" or \"uniform\"");
  refuse(config.asks(Check::direction) || config.asks(Check::leave_one_out),
         "screen",
         "async knows \"format\", \"norm\" and \"probe\"");
}

void check_together(TableReader& read, const Config& config) {
  if (config.contributors_per_round > static_cast<std::int64_t>(config.contributors.size()))
    read.refuse("contributors_per_round",
                fmt::format("is {}, of {}",
                            config.contributors_per_round,
                            counted(config.contributors.size(), "contributor")),
                "0 takes all");
  const auto external = std::find_if(config.contributors.begin(),
                                     config.contributors.end(),
                                     [](const Contributor& c) { return c.external; });
  if (external == config.contributors.end()) return;
  if (config.weights == Weighting::inverse_loss)
    read.refuse("weights",
                fmt::format("= \"inverse_loss\" needs a loss of {}", external->id),
                "external contributors send none");
  if (config.weights == Weighting::tokens && external->tokens == 0)
    read.refuse("weights",
                fmt::format("= \"tokens\" needs the tokens of {}", external->id),
                "tokens = 100000 in its [[fuse.contributor]]");
}

bool takes_weights(const Config& config) {
  return config.op.method != "median" && config.op.method != "trimmed_mean";
}

void check_effects(TableReader& read, const Config& config) {
  check_weights(read, config);
  check_waiting(read, config);
  check_faults(read, config);
  const bool trains = std::any_of(config.contributors.begin(),
                                  config.contributors.end(),
                                  [](const Contributor& c) { return !c.external; });
  // With probes they say what model it is that the base's file holds.
  if (!trains && !config.contributors.empty() && config.probe.empty() && !config.fixed.empty())
    read.refuse("fixed",
                "has no effect: all contributors are external, nothing is trained here",
                "leave [fuse.fixed] out");
  for (auto check = config.screen.begin(); check != config.screen.end(); ++check)
    if (std::find(config.screen.begin(), check, *check) != check)
      read.refuse("screen",
                  fmt::format("names \"{}\" twice", name(*check)),
                  "each check is made once, in an order of its own");
}

}  // namespace ration::fuse
