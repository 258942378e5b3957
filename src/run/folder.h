#pragma once

// The run folder: the contract between scheduler and worker (docs/formats.md).
//
//   runs/<run-id>/run.json                        immutable spec
//   runs/<run-id>/attempt-<n>/events.jsonl        append-only; a torn last line is legal
//   runs/<run-id>/attempt-<n>/checkpoint-<step>/  published by rename
//   runs/<run-id>/attempt-<n>/log.txt             the worker's words
//   runs/<run-id>/attempt-<n>/exit                its exit status, written by its supervisor
//   runs/<run-id>/result.json                     created once, by the attempt that finished
//
// Fencing: an attempt is claimed by creating its folder exclusively; a worker writes below its own
// attempt only, and leaves (WorkerExit::fenced) when it sees a higher one.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "run/spec.h"

namespace ration::run {

class RunFolder {
 public:
  RunFolder(Files& files, Path path) : files_(&files), path_(std::move(path)) {}

  const Path& path() const { return path_; }
  // The folder of another run of the same store.
  Path beside(const std::string& run_id) const;
  Path spec_path() const { return path_ / "run.json"; }
  Path result_path() const { return path_ / "result.json"; }
  Path attempt_path(int number) const;
  Path events_path(int attempt) const { return attempt_path(attempt) / "events.jsonl"; }
  Path log_path(int attempt) const { return attempt_path(attempt) / "log.txt"; }
  Path exit_path(int attempt) const { return attempt_path(attempt) / "exit"; }

  // Creates the folder and run.json. Repeating it is harmless; a run.json with another spec is an
  // internal error, one that differs in execution settings alone is replaced.
  Result<void> create(const RunSpec& spec, const Execution& execution);
  Result<RunFile> read_spec() const;

  // Numbers of the attempts, ascending. Attempts count from 1.
  Result<std::vector<int>> attempts() const;

  // Claims the next attempt; nothing when another worker was faster (try again or leave).
  Result<std::optional<int>> claim_attempt();

  // True when a higher attempt than `number` exists: the caller must stop writing.
  Result<bool> fenced(int number) const;

  // Publishes the result once; false when another attempt did so before.
  Result<bool> publish_result(const Json& result);
  // The published result, or nothing.
  Result<std::optional<Json>> result() const;
  // The name of the last checkpoint, as the result has it ("attempt-1/checkpoint-400"); nothing
  // without a result, or where it names none.
  Result<std::optional<std::string>> result_checkpoint() const;

  // Exit status as the supervisor wrote it, or nothing (still running, or the supervisor died).
  Result<std::optional<int>> exit_status(int attempt) const;
  Result<void> write_exit_status(int attempt, int status);

 private:
  Files* files_;
  Path path_;
};

}  // namespace ration::run
