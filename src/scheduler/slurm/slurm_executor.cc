#include "scheduler/slurm/slurm_executor.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cmath>

#include "base/fault.h"
#include "base/tokens.h"
#include "scheduler/outcome.h"
#include "scheduler/slurm/ending.h"
#include "scheduler/supervisor.h"

namespace ration::scheduler {
namespace {

using slurm::Phase;

constexpr const char* kHost = "slurm";         // where an attempt runs, in the store
constexpr double kLongestPause = 120;          // seconds between looks at a queue that is down
constexpr double kAccountingPause = 30;        // seconds; its answers are slow to make
constexpr int kTries = 5;                      // of a submission that leaves no trace
constexpr int kMisses = 2;                     // looks at a queue that does not know a job
constexpr double kSoon = 1;                    // seconds to the look after a change of ours
constexpr std::size_t kExitsEachSecond = 200;  // files looked for; network file systems are slow

void sleep_until_woken(Clock& clock, double seconds, int wake) {
  if (wake < 0) return clock.sleep(seconds);
  pollfd watched{.fd = wake, .events = POLLIN};
  poll(&watched, 1, static_cast<int>(std::ceil(seconds * 1000)));
}

bool woken(int wake) {
  pollfd watched{.fd = wake, .events = POLLIN};
  return wake >= 0 && poll(&watched, 1, 0) > 0;
}

}  // namespace

SlurmExecutor::SlurmExecutor(Files& files, Clock& clock, SlurmOptions options)
    : files_(&files), clock_(&clock), options_(std::move(options)), queue_(options_.config) {}

Result<void> SlurmExecutor::open() {
  std::vector<Path> damaged;
  Result<std::vector<slurm::Batch>> batches =
      slurm::read_batches(*files_, options_.store, &damaged);
  if (!batches) return std::move(batches).error();
  for (const Path& batch : damaged) {
    options_.say(fmt::format("the table of {} is damaged: its attempts count as never begun",
                             batch.string()));
    if (Result<void> done = slurm::set_aside(*files_, batch); !done) return done;
  }
  for (slurm::Batch& batch : *batches) {
    for (std::size_t i = 0; i < batch.tasks.size(); ++i)
      place_[batch.tasks[i].token] = {.batch = batch.token, .index = static_cast<int>(i)};
    const std::string token = batch.token;
    batches_[token] = {.batch = std::move(batch), .submitted = clock_->monotonic_seconds()};
    batches_[token].certain = batches_[token].batch.job > 0;
  }
  return {};
}

Result<Placement> SlurmExecutor::start(const Launch& launch) {
  jobs_[launch.attempt] = {.launch = launch};
  gathered_.push_back(launch.attempt);
  return Placement{.host = kHost, .process = {}};
}

Result<Sighting> SlurmExecutor::find(const Launch& launch, const Placement&) {
  const auto place = place_.find(launch.token);
  if (place == place_.end()) return Sighting{.kind = Sighting::Kind::ended};
  jobs_[launch.attempt] = {
      .launch = launch, .batch = place->second.batch, .index = place->second.index};
  begun_.insert(launch.attempt);
  ++batches_[place->second.batch].left;
  return Sighting{.kind = Sighting::Kind::alive, .placement = {.host = kHost, .process = {}}};
}

Result<std::vector<std::int64_t>> SlurmExecutor::wait(double seconds, int wake) {
  const double deadline = clock_->monotonic_seconds() + seconds;
  for (;;) {
    if (Result<void> done = submit_all(); !done) return std::move(done).error();
    // An answer that took so long is not followed by another that may.
    const bool late = !options_.detach && clock_->monotonic_seconds() > deadline + kSoon;
    if (late || woken(wake)) return std::exchange(finished_, {});
    carry_out_stops();
    look_at_exits(false);
    if (clock_->monotonic_seconds() >= next_look_ && !jobs_.empty())
      if (Result<void> done = look_at_queue(); !done) return std::move(done).error();
    const double now = clock_->monotonic_seconds();
    const bool settling = options_.detach && anything_settling();
    if (!finished_.empty() || woken(wake) || (now >= deadline && !settling))
      return std::exchange(finished_, {});
    double until = settling ? std::max(deadline, now + kSoon) : deadline;
    if (!jobs_.empty()) until = std::min({until, std::max(next_look_, now), next_exits_});
    sleep_until_woken(*clock_, std::clamp(until - now, 0.001, 10.0), wake);
  }
}

bool SlurmExecutor::handed_on(std::int64_t attempt) const {
  const auto job = jobs_.find(attempt);
  return job == jobs_.end() || !job->second.batch.empty();
}

void SlurmExecutor::stop(std::int64_t attempt, bool force) {
  const auto found = jobs_.find(attempt);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  if (!job.batch.empty()) {
    stops_pending_ = stops_pending_ || !job.stop_wanted || (force && !job.force_wanted);
    job.stop_wanted = true;
    job.force_wanted = job.force_wanted || force;
    return;
  }
  std::erase(gathered_, attempt);
  const Path path = folder_of(job).attempt_path(job.launch.number);
  const Result<bool> ignored = bury_attempt(*files_, path);  // without it nothing runs either
  (void)ignored;
  finish(attempt);
}

// ---- Submitting ---------------------------------------------------------------------------------

// Not all at once where the cluster is slow: between two calls others want to be heard.
Result<void> SlurmExecutor::submit_all() {
  const double patience = clock_->monotonic_seconds() + kSoon;
  while (!gathered_.empty() && clock_->monotonic_seconds() >= next_submit_ &&
         clock_->monotonic_seconds() < patience) {
    if (array_size_ == 0) array_size_ = queue_.array_size();
    const Launch& first = jobs_.at(gathered_.front()).launch;
    const auto limit = static_cast<std::size_t>(std::min(array_size_, chunk_));
    std::vector<std::int64_t> together;
    for (const std::int64_t attempt : gathered_)
      if (together.size() < limit && slurm::alike(jobs_.at(attempt).launch, first))
        together.push_back(attempt);
    const std::int64_t last = together.back();
    Result<bool> taken = submit_one(std::move(together));
    if (!taken) return std::move(taken).error();
    const auto batch = batches_.find(jobs_.at(last).batch);
    if (!*taken || (batch != batches_.end() && !batch->second.certain)) break;
  }
  return {};
}

// False when the cluster takes no more for now; the attempts stay gathered.
Result<bool> SlurmExecutor::submit_one(std::vector<std::int64_t> attempts) {
  Submitted submitted{.batch = {.token = random_token()}};
  slurm::Batch& batch = submitted.batch;
  batch.folder = slurm::batches_of(options_.store) / batch.token;
  if (batch.folder.string().find('\\') != std::string::npos)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} has a backslash in its name: with one SLURM fills in no "
                                     "numbers in the names of output files",
                                     batch.folder.parent_path().string()),
                 .hint = "choose a --store without backslashes"};
  batch.limit_seconds = options_.config.time_seconds;
  for (const std::int64_t attempt : attempts) batch.tasks.push_back(jobs_.at(attempt).launch);
  if (Result<void> done = slurm::write_batch(*files_, batch, options_.programs, options_.config);
      !done)
    return std::move(done).error();
  fault_point("sbatch-before-call");
  submitted.submitted = clock_->monotonic_seconds();
  submitted.left = static_cast<int>(attempts.size());
  submitted.tries = 1;
  Result<slurm::Submission> answer = queue_.submit(batch);
  fault_point("sbatch-after-call");
  if (!answer || answer->kind == slurm::SubmitKind::refused ||
      answer->kind == slurm::SubmitKind::full) {
    // Nothing of it is in the queue.
    if (Result<void> done = files_->remove_all(batch.folder); !done) return std::move(done).error();
  }
  if (!answer) return std::move(answer).error();
  if (answer->kind == slurm::SubmitKind::refused && !batch.tasks.front().avoid.empty()) {
    // There may be no other machines, or SLURM knows them by other names: better there than never.
    for (const std::int64_t attempt : attempts) jobs_.at(attempt).launch.avoid.clear();
    return true;
  }
  if (answer->kind == slurm::SubmitKind::refused)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("the cluster refuses these jobs: {}", answer->words),
                 .hint = "correct [slurm] in ration.toml, then repeat the command"};
  if (answer->kind == slurm::SubmitKind::full) {
    chunk_ = std::max(1, static_cast<int>(attempts.size()) / 2);
    next_submit_ = clock_->monotonic_seconds() +
                   std::min(kLongestPause, options_.config.poll_seconds * std::exp2(full_) / 4);
    if (full_++ == 0)
      options_.say(fmt::format("the cluster takes no more jobs for now: {}", answer->words));
    full_ = std::min(full_, 10);
    return false;
  }
  full_ = 0;
  submitted.words = answer->words;
  batch.job = answer->job;
  submitted.certain = answer->kind == slurm::SubmitKind::accepted;
  if (submitted.certain)
    if (Result<void> done = slurm::write_job_number(*files_, batch); !done)
      return std::move(done).error();
  fault_point("sbatch-after-record");
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    Job& job = jobs_.at(attempts[i]);
    job.batch = batch.token;
    job.index = static_cast<int>(i);
    job.launch.settings.clear();  // they lie in the batch
    job.launch.settings.shrink_to_fit();
    place_[job.launch.token] = {.batch = batch.token, .index = job.index};
    begun_.insert(attempts[i]);
  }
  const std::set<std::int64_t> sent(attempts.begin(), attempts.end());
  std::erase_if(gathered_, [&](std::int64_t attempt) { return sent.contains(attempt); });
  next_look_ = std::min(next_look_, clock_->monotonic_seconds() + kSoon);
  for (Launch& launch : batch.tasks) launch.settings = {};
  const std::string token = batch.token;
  batches_[token] = std::move(submitted);
  return true;
}

// Batches whose answer was lost: the queue is searched for their name before they are sent again.
Result<void> SlurmExecutor::look_for_uncertain(const slurm::Listing& listing) {
  for (auto& [token, submitted] : batches_) {
    if (submitted.certain || submitted.left == 0) continue;
    slurm::Batch& batch = submitted.batch;
    const auto first = listing.lower_bound({batch.name(), 0});
    const bool listed = first != listing.end() && first->first.first == batch.name();
    if (listed || anything_claimed(batch)) {
      submitted.certain = true;
      batch.job = listed ? first->second.job : 0;
      if (listed)
        if (Result<void> done = slurm::write_job_number(*files_, batch); !done) return done;
      continue;
    }
    const double waited = clock_->monotonic_seconds() - submitted.submitted;
    if (++submitted.absent < kMisses || waited < options_.config.settle_seconds) continue;
    if (!options_.submits) {
      bury_unwanted(token);
      continue;
    }
    if (submitted.tries >= kTries)
      return Error{.kind = ErrorKind::resource,
                   .what = fmt::format("sbatch was called {} times and no job came of it: {}",
                                       submitted.tries,
                                       submitted.words),
                   .hint = "see whether sbatch works here; the same command continues"};
    submitted.absent = 0;
    ++submitted.tries;
    submitted.submitted = clock_->monotonic_seconds();
    Result<slurm::Submission> answer = queue_.submit(batch);
    if (!answer) return std::move(answer).error();
    submitted.words = answer->words;
    submitted.certain = answer->kind == slurm::SubmitKind::accepted;
    batch.job = answer->job;
    if (!submitted.certain) return {};  // others when this one's turn is over
    if (Result<void> done = slurm::write_job_number(*files_, batch); !done) return done;
  }
  return {};
}

// Attempts of a batch that is in no queue, and that a person wants ended: should the batch come
// after all, or be sent again, they find their folders taken.
void SlurmExecutor::bury_unwanted(const std::string& batch) {
  for (auto& [attempt, job] : jobs_) {
    if (job.batch != batch || !job.stop_wanted || job.phase == Phase::over) continue;
    job.phase = Phase::over;
    job.gone_since = clock_->monotonic_seconds();
    const Result<bool> ignored =
        bury_attempt(*files_, folder_of(job).attempt_path(job.launch.number));
    (void)ignored;
    buried_.push_back(attempt);
  }
}

bool SlurmExecutor::anything_claimed(const slurm::Batch& batch) const {
  return std::any_of(batch.tasks.begin(), batch.tasks.end(), [&](const Launch& launch) {
    const run::RunFolder folder(*files_, launch.run_folder);
    const auto note = read_supervisor_note(*files_, folder.attempt_path(launch.number));
    return note && note->token == launch.token;
  });
}

// ---- Looking ------------------------------------------------------------------------------------

// A supervisor that wrote how it ended is believed, whatever the queue shows.
void SlurmExecutor::look_at_exits(bool all) {
  const double now = clock_->monotonic_seconds();
  if (!all && now < next_exits_) return;
  std::vector<std::int64_t> over;
  std::size_t looked = 0;
  const auto look = [&](std::int64_t attempt, const Job& job) {
    ++looked;
    if (files_->exists(folder_of(job).exit_path(job.launch.number))) over.push_back(attempt);
  };
  if (all) {
    for (const auto& [attempt, job] : jobs_)
      if (!job.batch.empty()) look(attempt, job);
  } else {
    for (const std::int64_t attempt : begun_) look(attempt, jobs_.at(attempt));
  }
  for (const std::int64_t attempt : over) finish(attempt);
  next_exits_ = now + std::max(std::min(kSoon, options_.config.poll_seconds),
                               static_cast<double>(looked) / kExitsEachSecond);
}

Result<void> SlurmExecutor::look_at_queue() {
  Result<slurm::Listing> listing = queue_.list();
  const double now = clock_->monotonic_seconds();
  if (!listing) {
    // Says nothing about any job.
    if (failed_looks_++ == 0)
      options_.say(fmt::format("{}; jobs go on, asking again", listing.error().what));
    next_look_ =
        now + std::min(kLongestPause,
                       options_.config.poll_seconds * std::exp2(std::min(failed_looks_, 10)));
    return {};
  }
  if (std::exchange(failed_looks_, 0) > 0) options_.say("the queue answers again");
  if (Result<void> done = look_for_uncertain(*listing); !done) return done;
  look_at_exits(true);
  std::vector<std::int64_t> attempts;
  for (const auto& [attempt, job] : jobs_)
    if (!job.batch.empty() && batches_.at(job.batch).certain) attempts.push_back(attempt);
  for (const std::int64_t attempt : attempts) judge(attempt, jobs_.at(attempt), *listing);
  judge_by_accounting();
  for (const std::int64_t attempt : std::exchange(buried_, {})) finish(attempt);
  for (const std::int64_t attempt : attempts) {
    const auto job = jobs_.find(attempt);
    if (job == jobs_.end() || job->second.gone_since == 0) continue;
    const Job& gone = job->second;
    const bool sure = gone.phase == Phase::over || gone.misses >= kMisses;
    const bool settled =
        clock_->monotonic_seconds() - gone.gone_since >= options_.config.settle_seconds;
    // One that was taken back before it began leaves nothing to wait for: burying it is a claim.
    const bool taken_back = gone.stop_wanted && gone.phase == Phase::over &&
                            !files_->exists(folder_of(gone).attempt_path(gone.launch.number));
    if (sure && (settled || taken_back)) over(attempt, job->second);
  }
  const double pause = options_.config.poll_seconds;
  next_look_ =
      clock_->monotonic_seconds() + (anything_settling() ? std::min(pause, 2 * kSoon) : pause);
  return {};
}

void SlurmExecutor::see(std::int64_t attempt, Job& job, Phase phase) {
  job.phase = phase;
  if (phase == Phase::pending)
    begun_.erase(attempt);
  else
    begun_.insert(attempt);
}

void SlurmExecutor::judge(std::int64_t attempt, Job& job, const slurm::Listing& listing) {
  Submitted& submitted = batches_.at(job.batch);
  const auto found = listing.find({submitted.batch.name(), job.index});
  const double now = clock_->monotonic_seconds();
  if (found != listing.end()) {
    job.last = found->second;
    see(attempt, job, found->second.phase);
    job.misses = 0;
    if (submitted.batch.job == 0) submitted.batch.job = found->second.job;
    if (job.phase != Phase::over)
      job.gone_since = 0;
    else if (job.gone_since == 0)
      job.gone_since = now;
    stops_pending_ = stops_pending_ || job.force_wanted ||
                     (job.stop_wanted && !job.asked && job.phase != Phase::over);
    return;
  }
  // Not known is not over: controllers forget. A worker whose files grow is alive.
  const std::uint64_t trace = trace_of(job);
  if (job.misses == 0 || trace != job.trace) {
    job.misses = 0;
    job.gone_since = now;
    job.last = {.phase = Phase::over, .state = "UNKNOWN"};
  }
  job.trace = trace;
  ++job.misses;
}

// Asked only about jobs that the queue does not know.
void SlurmExecutor::judge_by_accounting() {
  if (clock_->monotonic_seconds() < next_accounting_) return;
  std::set<std::int64_t> numbers;
  for (const auto& [attempt, job] : jobs_)
    if (job.misses > 0 && batches_.at(job.batch).batch.job > 0)
      numbers.insert(batches_.at(job.batch).batch.job);
  if (numbers.empty()) return;
  next_accounting_ = clock_->monotonic_seconds() + kAccountingPause;
  const std::optional<slurm::Listing> listing = queue_.accounting({numbers.begin(), numbers.end()});
  if (!listing) return;
  for (auto& [attempt, job] : jobs_) {
    if (job.misses == 0) continue;
    const auto found = listing->find({batches_.at(job.batch).batch.name(), job.index});
    if (found == listing->end()) continue;
    job.last = found->second;
    if (found->second.phase == Phase::over)
      see(attempt, job, Phase::over);
    else if (!job.force_wanted)
      job.misses = 0;  // alive, it says: look again
  }
}

std::uint64_t SlurmExecutor::trace_of(const Job& job) const {
  const run::RunFolder folder = folder_of(job);
  std::uint64_t trace = 0;
  for (const Path& file :
       {folder.events_path(job.launch.number), folder.log_path(job.launch.number)})
    if (files_->exists(file)) trace += files_->size(file).value_or(0);
  if (const auto names = files_->list(folder.attempt_path(job.launch.number)))
    for (const std::string& name : *names) trace += std::hash<std::string>()(name);
  return trace;
}

bool SlurmExecutor::anything_settling() const {
  if (!gathered_.empty() && full_ == 0) return true;  // the cluster may take more
  return std::any_of(
      jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second.gone_since > 0; });
}

// ---- Ends ---------------------------------------------------------------------------------------

// The queue says so, or knows nothing of it. False when its supervisor has come after all.
bool SlurmExecutor::over(std::int64_t attempt, Job& job) {
  const run::RunFolder folder = folder_of(job);
  const Path path = folder.attempt_path(job.launch.number);
  const auto note = read_supervisor_note(*files_, path);
  if (!note) {
    // From here on a copy that still comes finds the folder taken, and leaves.
    const Result<bool> buried_now = bury_attempt(*files_, path);
    if (buried_now && !*buried_now && !buried(*files_, path) && job.misses < 2 * kMisses) {
      ++job.misses;  // claimed this moment: look again
      job.gone_since = clock_->monotonic_seconds();
      return false;
    }
  }
  const Submitted& submitted = batches_.at(job.batch);
  const std::vector<std::string> words =
      last_words(*files_, submitted.batch.folder / fmt::format("{}.out", job.index), 1);
  slurm::QueueEnding ending{.state = job.last.state,
                            .reason = job.last.reason,
                            .said = words.empty() ? "" : words.back().substr(0, 500),
                            .limit_seconds = submitted.batch.limit_seconds};
  if (note)
    ending.elapsed_seconds =
        clock_->unix_seconds() - note->started - (clock_->monotonic_seconds() - job.gone_since);
  // Without it the attempt counts as killed.
  const Result<void> ignored = slurm::write_queue_ending(*files_, path, ending);
  (void)ignored;
  if (!note && !job.stop_wanted)
    options_.say(fmt::format("attempt {} of run {} never began ({})",
                             job.launch.number,
                             job.launch.run_folder.filename().string().substr(0, 12),
                             slurm::describe(ending)));
  finish(attempt);
  return true;
}

void SlurmExecutor::finish(std::int64_t attempt) {
  const auto found = jobs_.find(attempt);
  const std::string batch = found->second.batch;
  place_.erase(found->second.launch.token);
  jobs_.erase(found);
  begun_.erase(attempt);
  finished_.push_back(attempt);
  const auto submitted = batches_.find(batch);
  if (submitted == batches_.end() || --submitted->second.left > 0) return;
  // Not all of its tasks need be ours: `ration cancel` follows single runs.
  const std::vector<Launch>& tasks = submitted->second.batch.tasks;
  const bool others = std::any_of(tasks.begin(), tasks.end(), [&](const Launch& launch) {
    const run::RunFolder folder(*files_, launch.run_folder);
    const Path path = folder.attempt_path(launch.number);
    return !files_->exists(folder.exit_path(launch.number)) && !buried(*files_, path) &&
           !slurm::read_queue_ending(*files_, path);
  });
  if (others) return;
  // A folder that stays is read again by the next scheduler, and harmless.
  const Result<void> ignored = files_->remove_all(submitted->second.batch.folder);
  (void)ignored;
  batches_.erase(submitted);
}

void SlurmExecutor::carry_out_stops() {
  if (!std::exchange(stops_pending_, false)) return;
  for (const auto& [token, submitted] : batches_) {
    if (submitted.batch.job == 0) continue;  // after the look that finds its number
    std::vector<int> pending;
    std::vector<int> running;
    std::vector<int> by_force;
    for (auto& [attempt, job] : jobs_) {
      if (!job.stop_wanted || job.batch != token || job.phase == Phase::over) continue;
      if (job.force_wanted) {
        by_force.push_back(job.index);
      } else if (job.phase == Phase::running && !job.asked) {
        running.push_back(job.index);
        job.asked = true;
      } else if (job.phase != Phase::running) {
        pending.push_back(job.index);
      }
    }
    if (!pending.empty()) queue_.cancel_pending(submitted.batch, pending);
    if (!running.empty()) queue_.ask_to_checkpoint(submitted.batch, running);
    if (!by_force.empty()) queue_.cancel(submitted.batch, by_force);
    if (!pending.empty() || !by_force.empty())
      next_look_ = std::min(next_look_, clock_->monotonic_seconds() + kSoon);
  }
}

}  // namespace ration::scheduler
