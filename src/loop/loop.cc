#include "loop/loop.h"

#include <algorithm>
#include <map>

#include "fit/fit_file.h"
#include "run/count.h"
#include "run/weights.h"

namespace ration::loop {
namespace {

constexpr const char* kConvention = "6nd_head";  // how N is counted, in words of fit::Fit

RunStatus status_of(store::RunState state) {
  switch (state) {
    case store::RunState::done:
      return RunStatus::done;
    case store::RunState::diverged:
      return RunStatus::diverged;
    case store::RunState::failed:
    case store::RunState::invalid:
    case store::RunState::skipped:
      return RunStatus::failed;
    case store::RunState::stopped:
    case store::RunState::cancelled:
      return RunStatus::cancelled;
    case store::RunState::ready:
    case store::RunState::active:
      break;
  }
  return RunStatus::open;
}

Result<std::optional<store::Reader>> open_reader(Files& files, const Path& folder) {
  if (!files.exists(store::Layout{folder}.database())) return std::optional<store::Reader>();
  Result<store::Reader> reader = store::Reader::open(files, folder);
  if (!reader) return std::move(reader).error();
  return std::optional<store::Reader>(std::move(*reader));
}

int starts(const std::vector<Decision>& decisions) {
  return static_cast<int>(std::count_if(decisions.begin(), decisions.end(), [](const Decision& d) {
    return d.verdict == Verdict::start;
  }));
}

class Loop {
 public:
  Loop(const scheduler::Sweep& sweep,
       const LoopOptions& options,
       scheduler::Outside outside,
       LoopObserver& observer,
       scheduler::Expansion whole,
       std::set<std::string> allowed,
       Journal journal)
      : sweep_(sweep),
        options_(options),
        outside_(outside),
        observer_(observer),
        whole_(std::move(whole)),
        allowed_(std::move(allowed)),
        journal_(std::move(journal)),
        may_retry_(options.sweep.retry_failed) {
    options_.decide.keep_going = options.sweep.policy.keep_going;
  }

  Result<LoopSummary> run() {
    const double begin = outside_.clock.monotonic_seconds();
    Result<void> ended = options_.dry_run ? decide_once() : rounds();
    if (!ended) return std::move(ended).error();
    summary_.sweep = sweep_.name;
    summary_.decisions = journal_.decisions();
    summary_.seconds = outside_.clock.monotonic_seconds() - begin;
    return std::move(summary_);
  }

 private:
  Result<void> rounds() {
    Result<bool> goes_on = finish_what_was_decided();
    while (goes_on && *goes_on) {
      if (Result<void> decided = decide_once(); !decided) return decided;
      if (Result<void> kept = journal_.append(*summary_.last); !kept) return kept;
      if (summary_.last->verdict != Verdict::start) return keep_fit();
      std::set<std::string> batch;
      for (const Pick& pick : summary_.last->runs) batch.insert(pick.run);
      goes_on = train(std::move(batch));
    }
    if (!goes_on) return std::move(goes_on).error();
    return {};
  }

  Result<std::vector<Run>> look() {
    Result<std::optional<store::Reader>> reader = open_reader(outside_.files, options_.sweep.store);
    if (!reader) return std::move(reader).error();
    return runs_of(whole_, allowed_, *reader ? &**reader : nullptr, journal_.decisions());
  }

  Result<void> decide_once() {
    Result<std::vector<Run>> runs = look();
    if (!runs) return std::move(runs).error();
    Result<Decided> decided = decide(*runs, options_.decide, starts(journal_.decisions()) + 1);
    if (!decided) return std::move(decided).error();
    summary_.last = std::move(decided->decision);
    summary_.fit = std::move(decided->fit);
    summary_.plan = std::move(decided->plan);
    if (summary_.fit) {
      summary_.fit->source = sweep_.name;
      summary_.fit->params_convention = kConvention;
    }
    observer_.decided(*summary_.last);
    return {};
  }

  // False: the loop must not go on.
  Result<bool> finish_what_was_decided() {
    Result<std::vector<Run>> runs = look();
    if (!runs) return std::move(runs).error();
    std::set<std::string> batch;
    for (const Run& run : *runs)
      if (run.chosen &&
          (run.status == RunStatus::open || (run.status == RunStatus::failed && may_retry_)))
        batch.insert(run.id);
    if (batch.empty()) return true;
    observer_.resumes(starts(journal_.decisions()), batch.size());
    return train(std::move(batch));
  }

  Result<bool> train(std::set<std::string> batch) {
    scheduler::SweepOptions options = options_.sweep;
    options.runs = std::move(batch);
    options.expand.only.clear();  // the batch says it
    options.retry_failed = std::exchange(may_retry_, false);
    Result<scheduler::RunSummary> summary = scheduler::run_sweep(sweep_, options, outside_);
    if (!summary) return std::move(summary).error();
    const scheduler::StopCause cause = summary->cause;
    if (cause != scheduler::StopCause::interrupt && cause != scheduler::StopCause::disk)
      return true;
    summary_.cause = cause;
    summary_.last.reset();
    return false;
  }

  // So that `ration plan` and `ration report` go on from where the loop ended.
  Result<void> keep_fit() {
    if (!summary_.fit || !summary_.fit->trusted()) return {};
    Result<store::Reader> reader = store::Reader::open(outside_.files, options_.sweep.store);
    if (!reader) return std::move(reader).error();
    const Json document = fit::to_json(*summary_.fit);
    Result<std::optional<store::StoredFit>> newest = reader->newest_fit();
    if (!newest) return std::move(newest).error();
    if (*newest && (*newest)->fit.document == document) {
      summary_.stored_fit = (*newest)->id;
      return {};
    }
    store::FitRecord record{.law = std::string(summary_.fit->law->name()),
                            .query = sweep_.name,
                            .status = summary_.fit->search.stopped,
                            .loss = summary_.fit->objective,
                            .document = document};
    Result<std::vector<Run>> runs = look();
    if (!runs) return std::move(runs).error();
    for (const Run& run : *runs)
      if (run.status == RunStatus::done) record.runs.push_back(run.id);
    Result<store::FitWriter> writer =
        store::FitWriter::open(outside_.files, outside_.clock, options_.sweep.store);
    if (!writer) return std::move(writer).error();
    Result<std::int64_t> id = writer->record(record);
    if (!id) return std::move(id).error();
    summary_.stored_fit = *id;
    return {};
  }

  const scheduler::Sweep& sweep_;
  LoopOptions options_;
  scheduler::Outside outside_;
  LoopObserver& observer_;
  scheduler::Expansion whole_;
  std::set<std::string> allowed_;  // run-ids that may be started
  Journal journal_;
  bool may_retry_;  // failed runs, once
  LoopSummary summary_;
};

}  // namespace

int LoopSummary::exit_code() const {
  if (cause == scheduler::StopCause::interrupt) return ration::exit_code(ErrorKind::interrupted);
  if (cause == scheduler::StopCause::disk) return ration::exit_code(ErrorKind::resource);
  if (!last) return 0;
  switch (last->verdict) {
    case Verdict::start:
    case Verdict::reached:
      return 0;
    case Verdict::failures:
      return 1;
    case Verdict::spent:
    case Verdict::used_up:
      break;
  }
  return ration::exit_code(ErrorKind::untrusted);
}

Result<std::vector<Run>> runs_of(const scheduler::Expansion& whole,
                                 const std::set<std::string>& allowed,
                                 const store::Reader* reader,
                                 const std::vector<Decision>& decisions) {
  std::map<std::string, store::RunRow> rows;
  if (reader != nullptr) {
    Result<std::vector<store::RunRow>> all = reader->runs(std::nullopt);
    if (!all) return std::move(all).error();
    for (store::RunRow& row : *all) rows.emplace(row.run, std::move(row));
  }
  std::map<std::string, const Pick*> picked;  // runs that were decided on and not yet seen below
  for (const Decision& decision : decisions)
    for (const Pick& pick : decision.runs) picked.emplace(pick.run, &pick);
  std::vector<Run> runs;
  for (const scheduler::PlannedRun& planned : whole.runs) {
    if (!run::trains_from_scratch(planned.spec)) continue;  // no point of a law
    const run::ParamCounts counts = run::count_params(planned.spec);
    const auto tokens = static_cast<double>(planned.spec.tokens);
    Run run{.id = planned.id,
            .cell = store::cell_key(planned.spec),
            .params = Params(counts.block + counts.head),
            .tokens = Tokens(tokens),
            .unique = Tokens(std::min(static_cast<double>(planned.spec.unique_tokens), tokens)),
            .chosen = picked.erase(planned.id) > 0};
    if (const auto row = rows.find(run.id); row != rows.end()) {
      run.status = status_of(row->second.state);
      if (run.status == RunStatus::done) run.loss = Loss(row->second.final_loss);
    }
    if (run.status == RunStatus::open && !allowed.contains(run.id))
      run.status = RunStatus::cancelled;
    runs.push_back(std::move(run));
  }
  for (const auto& [id, pick] : picked)
    if (const auto row = rows.find(id); row != rows.end() && row->second.attempts > 0)
      runs.push_back({.id = id,
                      .cell = id,
                      .params = Params(pick->params),
                      .tokens = Tokens(pick->tokens),
                      .unique = Tokens(pick->unique_tokens),
                      .status = RunStatus::cancelled,
                      .chosen = true});
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.id < b.id; });
  return runs;
}

Result<LoopSummary> run_loop(const scheduler::Sweep& sweep,
                             const LoopOptions& options,
                             scheduler::Outside outside,
                             LoopObserver& observer) {
  if (std::vector<Error> problems = check(options.decide); !problems.empty())
    return combine(std::move(problems), "the loop cannot be started");
  scheduler::ExpandOptions everything = options.sweep.expand;
  everything.only.clear();
  Result<scheduler::Expansion> whole = scheduler::expand(sweep, outside.files, everything);
  if (!whole) return std::move(whole).error();
  Result<scheduler::Expansion> chosen =
      options.sweep.expand.only.empty()
          ? whole
          : scheduler::expand(sweep, outside.files, options.sweep.expand);
  if (!chosen) return std::move(chosen).error();
  std::set<std::string> allowed;
  for (const scheduler::PlannedRun& run : chosen->runs) allowed.insert(run.id);
  Result<Journal> journal = Journal::open(outside.files, options.sweep.store, sweep.name);
  if (!journal) return std::move(journal).error();
  return Loop(sweep,
              options,
              outside,
              observer,
              std::move(*whole),
              std::move(allowed),
              std::move(*journal))
      .run();
}

}  // namespace ration::loop
