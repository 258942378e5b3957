#pragma once

// ColD Fusion: contributors fine-tune a base on their own data, the results are fused into the next
// base, and so on (Don-Yehiya et al.: ColD Fusion; ACL 2023; docs/fusing.md).
//
//   Result<Config> config = parse_config(sweep.study->table, sweep.file);
//   Result<Setup> setup = prepare(*config, sweep, options, outside.files);
//   Result<Summary> summary = run_fusion(*config, *setup, outside);
//   Result<std::vector<RoundRecord>> rounds = rounds_of(outside.files, fusion_folder(store, name));
//
// Files, below <store>/fuse/<name>/ (docs/formats.md):
//   fusion.json                      what the fusion is
//   journal.jsonl                    what happened, in order; each line proves itself
//   bases/<sha256>.safetensors       theta_0 … theta_R
//   contributions/<sha256>.safetensors  what external contributors sent
//   rounds/round-00001.json          the manifest of a round, a RoundRecord; written once
//
// These files decide what is done next: kill the program anywhere, call run_fusion again, and it
// goes on. What contributors trained lies in the run folders of the store, so nothing is trained
// twice. Two rounds with the same manifest make the same bytes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fuse/config.h"
#include "scheduler/scheduler.h"

namespace ration::fuse {

// Where and with what a fusion happens.
struct Setup {
  Path store;
  std::string name;             // parts as sweep names are, joined by '/': "first/ties/seed-1"
  Path base;                    // safetensors file of theta_0
  Json model = Json::object();  // settings of the run that made it; empty for a file
  Path folder;                  // that relative paths of data start from: the sweep file's
  std::string data;             // of the sweep file; for contributors without `data` of their own
  scheduler::SweepOptions options;
};

// What a sweep file says around its [fuse]. Its runs are done. `replica`: of the block that is the
// base. Errors: a base that is not there, or not one file.
Result<Setup> prepare(const Config& config,
                      const scheduler::Sweep& sweep,
                      const scheduler::SweepOptions& options,
                      Files& files,
                      std::int64_t replica = 0);

// What can be known to be wrong before anything is trained: the base that is named, settings and
// data of contributors and probes, all in one error. For a base that is a block of the file, whose
// run need not be there yet.
Result<void> check(const Config& config,
                   const scheduler::Sweep& sweep,
                   const scheduler::SweepOptions& options,
                   Files& files);

// What became of one contribution.
enum class Verdict {
  accepted,
  rejected,    // by screening; `reason` says by which check
  absent,      // its run failed, or it did not arrive
  late,        // arrived after the round was closed, and dropped or only measured
  superseded,  // the same contributor sent a later one
};
const char* name(Verdict verdict);

struct Contribution {
  std::string contributor;
  std::string trained_from;    // sha256 of the base
  std::string sha256;          // of its file; empty when absent
  Path file;                   // where it lies
  std::string run;             // run-id; empty for an external one
  std::int64_t tokens = 0;     // trained on
  double loss = 0;             // held-out, own corpus, at the end of training; NaN unknown
  std::int64_t staleness = 0;  // rounds (async: versions) between trained_from and the base
  double weight = 0;           // as fused, before normalisation; 0 unless accepted
  double norm = 0;             // |tau|; NaN unknown
  double cosine = 0;           // mean to the other tau of the round; late: to the step that the
                               // round made; NaN unknown
  double scale = 1;            // of tau, by clipping
  double probe = 0;            // loss on the probes; NaN not measured
  Verdict verdict = Verdict::absent;
  std::string reason = {};
  std::int64_t sequence = 0;  // of arrival, from 1 over the whole fusion; 0 = never arrived
  std::string made = {};      // async: sha256 of the version that it made
};

// open: contributions are awaited. stalled: too few, and on_stall = wait. fused: a new base.
// empty: all were rejected, the base is kept. rolled_back: so it is, the new one being worse.
enum class RoundStatus { open, stalled, fused, empty, rolled_back, aborted };
const char* name(RoundStatus status);

struct RoundRecord {
  std::int64_t round = 0;  // from 1
  std::string base;        // sha256 of theta_(r-1)
  Path base_file;
  std::string next;  // sha256 of theta_r; that of `base` where it is kept
  Path next_file;
  RoundStatus status = RoundStatus::open;
  double eta = 1;        // as used; after a rollback half of Config::eta
  std::string velocity;  // sha256 of the file of v after the round; empty without momentum
  // In byte-wise order of contributor; async: in the order in which they were added.
  std::vector<Contribution> contributions;
  double probe_before = 0;  // loss of `base` on the probes; NaN not measured
  double probe_after = 0;   // of the fused model
  std::vector<std::string> warnings;

  std::int64_t tokens() const;  // trained on in the round, rejected contributions included
};

struct Summary {
  std::string name;
  Path folder;
  std::vector<RoundRecord> rounds;  // that are closed
  std::int64_t of = 0;              // rounds asked for
  std::string base;                 // sha256 and file of the last base
  Path base_file;
  std::int64_t trained = 0;  // runs started by this call
  std::string waiting = {};  // why it ended before the last round; empty = all are done

  int exit_code() const;  // 0 all rounds done; 5 waiting: the same call continues
  std::string one_line() const;
};

Path fusion_folder(const Path& store, const std::string& name);
// The names of the fusions of a store, sorted.
Result<std::vector<std::string>> fusions(Files& files, const Path& store);

// Carries a fusion out, or goes on with it. Errors: another fusion of this name (its fusion.json
// differs), those of run_sweep, an aborted round, ErrorKind::interrupted by Ctrl-C.
Result<Summary> run_fusion(const Config& config, const Setup& setup, scheduler::Outside outside);

// The closed rounds, from their manifests. ErrorKind::input, with the file: a manifest that is
// damaged, missing before a later one, or of another round or fusion than its place says, and a
// base, velocity or origin of an accepted contribution that is gone.
Result<std::vector<RoundRecord>> rounds_of(Files& files, const Path& folder);
Json to_json(const RoundRecord& record);
Result<RoundRecord> round_from_json(const Json& json, const Path& folder, const std::string& where);

// How far a fusion is.
struct Progress {
  std::vector<RoundRecord> rounds;  // that are closed
  std::int64_t of = 0;
  std::string base;                       // sha256 of the last base
  std::int64_t open_round = 0;            // 0 = none
  std::vector<std::string> arrived = {};  // contributors of the open round that are in
  std::vector<std::string> awaited = {};  // and that are not
  std::optional<double> deadline = {};    // of it, unix seconds
};
Result<Progress> progress_of(Files& files, const Path& folder);

// One fusion of replay(): what it made before, and now.
struct Replayed {
  std::int64_t round = 0;
  std::string contributor;  // async: whose arrival; else empty
  std::string before;
  std::string now;
};
// Computes every fusion again from the stored contributions; writes nothing that stays. Errors: a
// file that is gone or is another one; ErrorKind::usage while a process carries the fusion out.
Result<std::vector<Replayed>> replay(Files& files, const Path& folder, int threads = 0);

struct Submission {
  std::string contributor;
  std::string from;  // sha256 of the base that it was trained from
  Path model;
  std::int64_t tokens = 0;  // 0 = what the configuration says
};
struct Submitted {
  std::int64_t number = 0;     // in the inbox, from 1
  std::string from;            // sha256 of the base
  std::int64_t staleness = 0;  // rounds (async: versions) between it and the current base
  std::string note = {};       // what the fusion does with one that old; empty for staleness 0
};
// Checks an external contribution and keeps a copy: format check of screening, with names of
// tensors and indices. ErrorKind::input or usage, nothing written, when it is refused, and where
// the fusion has ended or was aborted.
Result<Submitted> submit(Files& files, const Path& folder, const Submission& submission);

}  // namespace ration::fuse
