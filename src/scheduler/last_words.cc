#include "scheduler/last_words.h"

#include <algorithm>
#include <array>

namespace ration::scheduler {
namespace {

// What the system says when a write finds no room, in the C locale that workers speak.
constexpr std::array<std::string_view, 3> kDiskFull = {
    "No space left on device", "Disk quota exceeded", "File too large"};

// slurmstepd without cgroups, slurmstepd with them, the kernel, `ration supervise`.
constexpr std::array<std::string_view, 5> kMemory = {
    "emory limit", "oom-kill", "oom_kill", "Out of memory: Killed", "cgroup out-of-memory"};

// CUDA's and its driver's, of devices that are lost or whose memory is damaged.
constexpr std::array<std::string_view, 7> kDeviceLost = {"uncorrectable ECC error",
                                                         "uncorrectable NVLink error",
                                                         "GPU is lost",
                                                         "fallen off the bus",
                                                         "device is lost",
                                                         "devices unavailable",
                                                         "busy or unavailable"};

template <std::size_t n>
bool contains_any(std::string_view text, const std::array<std::string_view, n>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

}  // namespace

std::string tail_of(Files& files, const Path& file, std::uint64_t bytes) {
  const Result<std::uint64_t> size = files.size(file);
  if (!size) return {};
  const std::uint64_t begin = *size > bytes ? *size - bytes : 0;
  return files.read_range(file, begin, bytes).value_or("");
}

std::vector<std::string> last_words(Files& files, const Path& log, std::size_t lines) {
  constexpr std::uint64_t kTail = 64U << 10;
  const std::string text = tail_of(files, log, kTail);
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (words.size() > lines)
    words.erase(words.begin(), words.end() - static_cast<std::ptrdiff_t>(lines));
  return words;
}

std::optional<store::FailureClass> class_in_words(std::string_view text) {
  if (contains_any(text, kDiskFull)) return store::FailureClass::disk;
  if (contains_any(text, kMemory)) return store::FailureClass::oom_host;
  if (contains_any(text, kDeviceLost)) return store::FailureClass::node_failure;
  return std::nullopt;
}

bool speaks_of_memory(std::string_view text) { return contains_any(text, kMemory); }

}  // namespace ration::scheduler
