#include "scheduler/slurm/queue.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/command.h"

namespace ration::scheduler::slurm {
namespace {

constexpr int kUsualArraySize = 1001;
constexpr std::size_t kTasksPerCall = 500;  // words of one scancel
constexpr std::string_view kFormat = "%F|%K|%T|%r|%j";

constexpr std::array<std::string_view, 9> kOver = {"BOOT_FAIL",
                                                   "CANCELLED",
                                                   "COMPLETED",
                                                   "DEADLINE",
                                                   "FAILED",
                                                   "NODE_FAIL",
                                                   "OUT_OF_MEMORY",
                                                   "PREEMPTED",
                                                   "TIMEOUT"};
constexpr std::array<std::string_view, 6> kPending = {
    "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"};

// Words of sbatch that mean: not now, or not so many.
constexpr std::array<std::string_view, 7> kFull = {"job submit limit",
                                                   "MaxSubmit",
                                                   "accounting/QOS policy",
                                                   "MaxJobCount",
                                                   "temporarily unable to accept job",
                                                   "Resource temporarily unavailable",
                                                   "Invalid job array specification"};
// Words that mean: never so. All else may have been accepted before something failed.
constexpr std::array<std::string_view, 14> kRefused = {"artition",
                                                       "onfiguration is not available",
                                                       "nvalid account",
                                                       "nvalid qos",
                                                       "nvalid feature",
                                                       "nvalid node name",
                                                       "generic resource",
                                                       "Memory specification",
                                                       "time limit",
                                                       "permission",
                                                       "not permitted",
                                                       "unrecognized option",
                                                       "invalid option",
                                                       "Pathname of a file"};

template <std::size_t n>
bool holds_any(std::string_view text, const std::array<std::string_view, n>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(mark);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// The text stops at its last whole line: an answer may have been cut.
std::vector<std::string_view> lines_of(std::string_view text) {
  const std::size_t end = text.rfind('\n');
  if (end == std::string_view::npos) return {};
  return split(text.substr(0, end), '\n');
}

void add(Listing& listing, TaskKey key, Sighted sighted) {
  const auto [place, is_new] = listing.try_emplace(std::move(key), sighted);
  const auto rank = [](Phase phase) {
    return phase == Phase::running ? 2 : phase == Phase::pending ? 1 : 0;
  };
  // Of equals the later one: accounting lists attempts in their order.
  if (!is_new && rank(sighted.phase) >= rank(place->second.phase))
    place->second = std::move(sighted);
}

std::string percent_doubled(const std::string& text) {
  std::string doubled;
  for (const char c : text) doubled += c == '%' ? std::string("%%") : std::string(1, c);
  return doubled;
}

// One of SLURM's commands.
Result<Answer> ask(const std::vector<std::string>& words, const SlurmConfig& config) {
  Result<Answer> answer = call(words, config.deadline_seconds);
  if (!answer)
    answer.error().hint =
        "SLURM's commands must be on PATH: run this on a login node of the cluster";
  return answer;
}

}  // namespace

Phase phase_of(std::string_view state) {
  state = state.substr(0, state.find_first_of(" +"));  // "CANCELLED by 0"
  if (std::find(kOver.begin(), kOver.end(), state) != kOver.end()) return Phase::over;
  if (std::find(kPending.begin(), kPending.end(), state) != kPending.end()) return Phase::pending;
  return Phase::running;
}

Listing read_squeue(std::string_view text) {
  Listing listing;
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> parts = split(line, '|');
    if (parts.size() < 5) continue;
    const auto job = whole<std::int64_t>(parts[0]);
    const auto index = whole<int>(parts[1]);
    if (!job || !index) continue;  // no array of ours
    add(listing,
        {std::string(parts.back()), *index},
        {.phase = phase_of(parts[2]),
         .state = std::string(parts[2]),
         .reason = std::string(parts[3]),
         .job = *job});
  }
  return listing;
}

Listing read_sacct(std::string_view text) {
  Listing listing;
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> parts = split(line, '|');
    if (parts.size() < 3) continue;
    const std::size_t underline = parts[0].find('_');
    if (underline == std::string_view::npos) continue;
    const auto job = whole<std::int64_t>(parts[0].substr(0, underline));
    const auto index = whole<int>(parts[0].substr(underline + 1));
    if (!job || !index) continue;  // a range of indices that still wait
    const std::string_view state = parts[2].substr(0, parts[2].find_first_of(" +"));
    add(listing,
        {std::string(parts[1]), *index},
        {.phase = phase_of(state), .state = std::string(state), .reason = "", .job = *job});
  }
  return listing;
}

Submission read_submission(int status, bool timed_out, const std::string& out, std::string words) {
  if (!timed_out && status == 0)
    for (const std::string_view line : lines_of(out))
      if (const auto job = whole<std::int64_t>(line.substr(0, line.find(';'))); job && *job > 0)
        return {.kind = SubmitKind::accepted, .job = *job};
  Submission submission{.kind = SubmitKind::unknown, .words = std::move(words)};
  if (timed_out || status == 0) return submission;
  if (holds_any(submission.words, kFull))
    submission.kind = SubmitKind::full;
  else if (holds_any(submission.words, kRefused))
    submission.kind = SubmitKind::refused;
  return submission;
}

std::vector<std::string> sbatch_words(const Batch& batch, const SlurmConfig& config) {
  const Launch& each = batch.tasks.front();  // they are alike
  std::vector<std::string> words = {
      "sbatch",
      "--parsable",
      "--job-name=" + batch.name(),
      "--comment=" + batch.token,
      fmt::format("--array=0-{}", batch.tasks.size() - 1) +
          (config.at_once > 0 ? fmt::format("%{}", config.at_once) : ""),
      "--chdir=" + batch.folder.string(),
      "--output=" + percent_doubled(batch.folder.string()) + "/%a.out",
      "--open-mode=append",
      // To the batch process, which is the supervisor: it hands the signal on.
      fmt::format("--signal=B:USR1@{:.0f}", config.signal_seconds),
      // A retry of ours has a number and a reason; SLURM's would have neither.
      "--no-requeue",
      "--kill-on-invalid-dep=yes",
      "--export=ALL",
      "--nodes=1",
      "--ntasks=1",
      fmt::format("--cpus-per-task={}", each.threads)};
  const auto option = [&](const char* name, const std::string& value) {
    if (!value.empty()) words.push_back(fmt::format("--{}={}", name, value));
  };
  option("account", config.account);
  option("partition", config.partition);
  option("qos", config.qos);
  option("constraint", config.constraint);
  option("gres", config.gres);
  if (config.memory_bytes > 0)
    words.push_back(fmt::format("--mem={:.0f}M",
                                std::ceil(config.memory_bytes * each.memory_factor / (1 << 20))));
  option("exclude", fmt::format("{}", fmt::join(each.avoid, ",")));
  if (config.time_seconds > 0)
    words.push_back(fmt::format("--time={:.0f}", std::ceil(config.time_seconds / 60)));
  words.push_back((batch.folder / "job.sh").string());
  return words;
}

int Queue::array_size() const {
  const Result<Answer> answer = ask({"scontrol", "show", "config"}, config_);
  if (!answer || !answer->ok()) return kUsualArraySize;
  for (std::string_view line : lines_of(answer->out)) {
    if (!line.starts_with("MaxArraySize")) continue;
    line.remove_prefix(std::min(line.find_first_of("0123456789"), line.size()));
    return std::max(1, whole<int>(line).value_or(kUsualArraySize));
  }
  return kUsualArraySize;
}

Result<Submission> Queue::submit(const Batch& batch) const {
  Result<Answer> answer = ask(sbatch_words(batch, config_), config_);
  if (!answer) return std::move(answer).error();
  return read_submission(answer->status, answer->timed_out, answer->out, answer->words());
}

Result<Listing> Queue::list() const {
  Result<Answer> answer = ask({"squeue",
                               "--noheader",
                               "--array",
                               "--states=all",
                               fmt::format("--user={}", getuid()),
                               fmt::format("--format={}", kFormat)},
                              config_);
  if (!answer) return std::move(answer).error();
  if (!answer->ok())
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("the queue does not answer: {}", answer->words())};
  return read_squeue(answer->out);
}

std::optional<Listing> Queue::accounting(const std::vector<std::int64_t>& jobs) const {
  const Result<Answer> answer = ask({"sacct",
                                     "--noheader",
                                     "--parsable2",
                                     "--allocations",
                                     "--duplicates",
                                     fmt::format("--jobs={}", fmt::join(jobs, ",")),
                                     "--format=JobID,JobName,State"},
                                    config_);
  if (!answer || !answer->ok()) return std::nullopt;
  return read_sacct(answer->out);
}

void Queue::scancel(const Batch& batch,
                    const std::vector<int>& tasks,
                    std::vector<std::string> words) const {
  for (std::size_t begin = 0; begin < tasks.size(); begin += kTasksPerCall) {
    std::vector<std::string> all = {"scancel", "--quiet", "--name=" + batch.name()};
    all.insert(all.end(), words.begin(), words.end());
    for (std::size_t i = begin; i < std::min(begin + kTasksPerCall, tasks.size()); ++i)
      all.push_back(fmt::format("{}_{}", batch.job, tasks[i]));
    // It says "done" to anything: the next look at the queue tells.
    const Result<Answer> ignored = ask(all, config_);
    (void)ignored;
  }
}

void Queue::cancel_pending(const Batch& batch, const std::vector<int>& tasks) const {
  scancel(batch, tasks, {"--state=PENDING"});
}

void Queue::ask_to_checkpoint(const Batch& batch, const std::vector<int>& tasks) const {
  scancel(batch, tasks, {"--state=RUNNING", "--signal=USR1", "--batch"});
}

void Queue::cancel(const Batch& batch, const std::vector<int>& tasks) const {
  scancel(batch, tasks, {});
}

}  // namespace ration::scheduler::slurm
