#pragma once

// What an experiment with fusion is: a table [fuse] (docs/fusing.md) with arms, which change it,
// and with what is measured of their bases.
//
//   [fuse]
//   …                               # of the first arm, as for `ration fuse run`
//   [fuse.evaluate]
//   seeds = 3                       # of the contributors, their order and the fine-tuning; paired
//   unseen = ["data/boost"]         # corpora that no contributor has
//   measures = ["zero_step", "fine_tuned"]
//   tokens = "50Ktok"               # of fine-tuning
//   [fuse.evaluate.fixed]           # settings of its runs, over those of [fuse.fixed]
//   [fuse.controls]                 # at as many tokens as the first arm has trained on
//   multitask = true                # one model on the contributors' texts together
//   one_shot = true                 # one round
//   sequential = true               # one contributor after the other
//   [[fuse.arm]]
//   name = "mean"
//   [[fuse.arm]]
//   name = "ties"
//   op = "ties"                     # any key of [fuse]; tables are joined, all else replaced
//   [[fuse.arm]]
//   name = "flipped"
//   against = "mean"                # also compared with this arm
//   measures = ["zero_step"]        # fewer of them
//   faults = {prose = "flip"}

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "fuse/config.h"
#include "run/points.h"
#include "study/fusion/losses.h"

namespace ration::study {

struct FusionArm {
  std::string name;
  std::string against;  // another arm; empty = none
  std::vector<Measure> measures;
  fuse::Config config;  // its seed is that of the file; the experiment sets its own

  bool measured_by(Measure measure) const;
};

struct FusionEvaluation {
  std::vector<std::int64_t> seeds = {0, 1, 2};  // one or more, each once
  std::vector<std::string> unseen;              // folders of prepared data, as written
  std::vector<Measure> measures = {Measure::zero_step};
  std::int64_t windows = 64;    // held-out windows of each corpus, even; 0 = all
  std::int64_t every = 1;       // zero_step of each n-th round, and of the last
  std::int64_t tokens = 0;      // of fine-tuning
  std::int64_t few_shot = 0;    // unique tokens of few-shot fine-tuning
  std::int64_t few_epochs = 4;  // over these
  Json fixed = Json::object();  // settings of the runs that fine-tune
  run::PointProbe probe = {};   // its keys: probe_steps, probe_lr, probe_sequences
  std::int64_t draws = 10'000;  // of the bootstrap, 100 to 1e6

  bool wants(Measure measure) const;
};

struct FusionControls {
  bool multitask = true;
  bool one_shot = true;
  bool sequential = true;
};

struct FusionStudy {
  std::vector<FusionArm> arms;  // at least one; the controls train on as many tokens as the first
  FusionEvaluation evaluate;
  FusionControls controls;
};

// Whether a table [fuse] asks for an experiment, rather than for one fusion.
bool is_experiment(const Json& table);

// Reads the table. `where` (the file) stands in front of messages. All problems together,
// ErrorKind::usage: unknown keys with the nearest known one, values out of range, names of arms
// that repeat or are those of controls, what fuse::parse_config refuses of an arm.
Result<FusionStudy> parse_fusion_study(const Json& table, const std::string& where);

}  // namespace ration::study
