#include "scheduler/gpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/command.h"

namespace ration::scheduler {
namespace {

constexpr double kDeadline = 3;  // seconds; a driver that wakes up takes about two
constexpr double kMebibyte = 1 << 20;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The text up to `mark`, taken off; all of it when there is no mark.
std::string_view take_until(std::string_view& text, char mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trimmed(part);
}

std::optional<Gpu> find(const std::vector<Gpu>& gpus, std::string_view word) {
  std::size_t number = 0;
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (code == std::errc() && end == word.data() + word.size())
    return number < gpus.size() ? std::optional(gpus[number]) : std::nullopt;
  for (const Gpu& gpu : gpus)
    if (!word.empty() && gpu.uuid.starts_with(word)) return gpu;
  return std::nullopt;
}

}  // namespace

std::vector<Gpu> read_gpus(std::string_view answer, const char* visible) {
  std::vector<Gpu> gpus;
  while (!answer.empty()) {
    std::string_view line = take_until(answer, '\n');
    const std::string_view uuid = take_until(line, ',');
    const std::string_view memory = take_until(line, ',');
    if (!uuid.starts_with("GPU-")) continue;  // "No devices were found", and the like
    double mebibytes = 0;                     // "[N/A]" stays 0
    std::from_chars(memory.data(), memory.data() + memory.size(), mebibytes);
    gpus.push_back({.uuid = std::string(uuid), .bytes = mebibytes * kMebibyte});
  }
  if (visible == nullptr) return gpus;
  std::vector<Gpu> chosen;
  for (std::string_view rest = visible; !rest.empty();) {
    const std::optional<Gpu> gpu = find(gpus, take_until(rest, ','));
    if (!gpu) break;
    const bool again = std::any_of(
        chosen.begin(), chosen.end(), [&](const Gpu& other) { return other.uuid == gpu->uuid; });
    if (!again) chosen.push_back(*gpu);
  }
  return chosen;
}

FoundGpus find_gpus() {
  const Result<Answer> answer = call(
      {"nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"}, kDeadline);
  if (answer && answer->timed_out)
    return {.gpus = {},
            .trouble = fmt::format("nvidia-smi did not answer within {:.0f} s: GPUs are not "
                                   "counted, and runs share what CUDA gives them; -j N says how "
                                   "many start",
                                   kDeadline)};
  if (!answer || !answer->ok()) return {};
  return {.gpus = read_gpus(answer->out, std::getenv("CUDA_VISIBLE_DEVICES"))};
}

}  // namespace ration::scheduler
