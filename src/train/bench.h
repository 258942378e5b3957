#pragma once

// ration-train --bench: how fast this machine trains a model, how that divides, and what it holds
// in memory. Needs no data: the tokens are drawn, and cost what real ones cost.

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "run/spec.h"

namespace ration::train {

struct BenchOptions {
  // A run folder or its run.json, and settings "name=value" that replace its own; without a file
  // those of a model of 0.2 M parameters.
  std::optional<Path> run = {};
  std::vector<std::string> settings = {};
  std::int64_t steps = 0;  // 0: as many as take about three seconds
  std::int64_t runs = 1;   // of one shape side by side on a device
  std::optional<Path> export_to =
      {};  // first weights and all tokens, for a program to compare with
  bool json = false;
  bool coordinates = false;  // the coordinate check in place of a measurement
};

// The spec and execution that the options stand for, resolved and checked.
Result<run::RunFile> bench_subject(const BenchOptions& options, Files& files);

// Members: see docs/training.md, "--bench". Takes 3 to 10 seconds.
Result<Json> bench(const BenchOptions& options, Files& files);

// The coordinate check of the options' run at widths 64 to 512 after 3 steps: a table.
Result<std::string> bench_coordinates(const BenchOptions& options, Files& files);

// The same for people: lines with units.
std::string bench_text(const Json& report);

}  // namespace ration::train
