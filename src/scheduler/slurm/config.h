#pragma once

// ration.toml: where runs are carried out and what a cluster wants to be told. docs/slurm.md
// explains every key.
//
//   executor = "slurm"
//   [slurm]
//   partition = "gpu"
//   gres = "gpu:1"
//   time = "12h"

#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace ration::scheduler {

enum class ExecutorKind { local, slurm };

struct SlurmConfig {
  // Handed to sbatch as they are, each a word of its own; empty = the cluster's default. Their
  // letters are checked: see docs/slurm.md.
  std::string account;
  std::string partition;
  std::string qos;
  std::string constraint;
  std::string gres;

  double memory_bytes = 0;  // of a job; 0 = the cluster's default
  double time_seconds = 0;  // time limit of a job, at least 60; 0 = the partition's
  // How long before the time limit a worker is asked to checkpoint, 10 to 3600 s. SLURM may be a
  // minute early, never late; 120 s is time for the checkpoint of a small model.
  double signal_seconds = 120;
  // Jobs in the queue at once, 1 to 100,000. 1000: sites limit what a person may submit.
  int max_jobs = 1000;
  int at_once = 0;  // jobs of an array that may run at once; 0 = no limit of ours
  // Between two looks at the queue, 1 to 600 s. 15: controllers serve thousands of people.
  double poll_seconds = 15;
  // How long files of a job that is gone may take to appear, 0 to 600 s: network file systems keep
  // what they know of a folder for up to a minute.
  double settle_seconds = 30;
  double deadline_seconds = 30;  // for an answer of a command, 1 to 600 s

  std::vector<std::string> modules;  // `module load` of each, in this order
  std::vector<std::string> setup;    // lines of shell before the worker, the owner's own
};

struct Config {
  ExecutorKind executor = ExecutorKind::local;
  double price = 0;  // of a slot for an hour, above 0, in any currency; 0 = not given
  SlurmConfig slurm;
};

// All problems at once, each with its place; ErrorKind::usage.
Result<Config> read_config(std::string_view text, const std::string& file);

// `given`, or ration.toml in the folder of the sweep, or in the working folder; the defaults when
// there is none.
Result<Config> find_config(Files& files, const std::string& given, const Path& sweep_file);

}  // namespace ration::scheduler
