#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

namespace ration {
namespace {

// Empty when there is no such file, or when its process ends while it is read: a file of /proc that
// could be opened may still refuse to be read, which a stream buffer would report by throwing.
std::string read_proc(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  std::string text;
  std::array<char, 4096> part{};
  ssize_t got = 0;
  while ((got = read(descriptor, part.data(), part.size())) > 0 || (got < 0 && errno == EINTR))
    if (got > 0) text.append(part.data(), static_cast<std::size_t>(got));
  close(descriptor);
  return got < 0 ? std::string() : text;
}

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The fields of /proc/PID/stat behind the name, which may itself hold blanks and brackets.
std::vector<std::string_view> fields_behind_name(std::string_view stat) {
  std::vector<std::string_view> fields;
  const std::size_t close = stat.rfind(')');
  if (close == std::string_view::npos) return fields;
  stat.remove_prefix(close + 1);
  while (!stat.empty()) {
    const std::size_t begin = stat.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    const std::size_t end = stat.find_first_of(" \n", begin);
    fields.push_back(stat.substr(begin, end - begin));
    stat.remove_prefix(end == std::string_view::npos ? stat.size() : end);
  }
  return fields;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string boot_id() {
  static const std::string id = [] {  // no process outlives it
    std::string text = read_proc("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

std::optional<ProcessId> identify(std::int64_t pid) {
  if (pid <= 0) return std::nullopt;
  const std::string stat = read_proc("/proc/" + std::to_string(pid) + "/stat");
  const std::vector<std::string_view> fields = fields_behind_name(stat);
  constexpr std::size_t kState = 0;
  constexpr std::size_t kStart = 19;  // field 22 of the line; the name is field 2
  if (fields.size() <= kStart || fields[kState] == "Z" || fields[kState] == "X")
    return std::nullopt;
  const std::optional<std::int64_t> start = whole(fields[kStart]);
  if (!start) return std::nullopt;
  return ProcessId{.boot = boot_id(), .pid = pid, .start = *start};
}

ProcessId this_process() { return identify(getpid()).value_or(ProcessId{}); }

bool alive(const ProcessId& process) { return identify(process.pid) == process; }

bool send_signal(const ProcessId& process, int signal_number, bool group) {
  if (!alive(process)) return false;
  const auto pid = static_cast<pid_t>(process.pid);
  return kill(group ? -pid : pid, signal_number) == 0;
}

std::vector<ProcessId> find_processes(const std::function<bool(std::string_view word)>& match) {
  std::vector<ProcessId> found;
  std::error_code code;
  std::filesystem::directory_iterator entry("/proc", code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    const std::optional<std::int64_t> pid = whole(entry->path().filename().string());
    if (!pid) continue;
    const std::string words = read_proc(entry->path().string() + "/cmdline");
    for (std::size_t begin = 0; begin < words.size();) {
      const std::size_t end = std::min(words.find('\0', begin), words.size());
      if (match(std::string_view(words).substr(begin, end - begin))) {
        if (std::optional<ProcessId> process = identify(*pid)) found.push_back(std::move(*process));
        break;
      }
      begin = end + 1;
    }
  }
  return found;
}

}  // namespace ration
