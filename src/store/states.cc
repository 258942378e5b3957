#include "store/states.h"

#include <array>

namespace ration::store {
namespace {

constexpr std::array<std::string_view, kRunStates> kRunNames = {
    "ready", "active", "done", "diverged", "failed", "cancelled", "invalid", "stopped", "skipped"};
constexpr std::array<std::string_view, 6> kAttemptNames = {
    "created", "submitted", "running", "succeeded", "failed", "lost"};
constexpr std::array<std::string_view, kFailureClasses> kFailureNames = {"none",
                                                                         "config",
                                                                         "data",
                                                                         "diverged",
                                                                         "out of memory",
                                                                         "preempted",
                                                                         "disk",
                                                                         "killed",
                                                                         "bug",
                                                                         "fenced",
                                                                         "out of host memory",
                                                                         "timeout",
                                                                         "node failure"};

// A database of a newer program may hold a number that this one does not know.
template <std::size_t N>
std::string_view at(const std::array<std::string_view, N>& names, int index) {
  return index >= 0 && static_cast<std::size_t>(index) < N ? names[static_cast<std::size_t>(index)]
                                                           : "unknown";
}

}  // namespace

std::string_view name(RunState state) { return at(kRunNames, static_cast<int>(state)); }
std::string_view name(AttemptState state) { return at(kAttemptNames, static_cast<int>(state)); }
std::string_view name(FailureClass failure) { return at(kFailureNames, static_cast<int>(failure)); }

std::optional<RunState> run_state(std::string_view text) {
  for (std::size_t i = 0; i < kRunNames.size(); ++i)
    if (kRunNames[i] == text) return static_cast<RunState>(i);
  return std::nullopt;
}

}  // namespace ration::store
