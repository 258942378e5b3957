#pragma once

// What a study of remedies measured: one line a trained model, of remedies, of the baseline, and of
// the law's runs. It is all that a price list needs, so that it can be priced again by another law,
// or by another program (docs/formats.md, "Measured remedies").

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/result.h"

namespace ration::study {

struct RemedyMeasure {
  std::string arm;   // of a remedy; the baseline's and the law's blocks have their own name
  std::string size;  // "2x64": layers and width
  std::int64_t replica = 0;
  std::string run = {};             // run-id; of merged weights empty
  double params = 0;                // active ones, of block and head
  double params_stored = 0;         // all
  double tokens = 0;                // seen, repeats and auxiliary ones included
  double added = 0;                 // of them auxiliary ones
  double unique = 0;                // distinct ones of the target
  double loss = 0;                  // held out, of the target; nats a token
  std::optional<double> task = {};  // share of pairs decided rightly
  double flops = 0;                 // charged: all training that led to it, with what policies add
  double donors = 0;                // of trainings that served other purposes, too; not in `flops`
};

struct MeasuredArm {
  std::string name;
  std::string kind;                     // remedy_kinds()
  std::string group = {};               // arms of one remedy at several shares have one
  std::vector<std::string> parts = {};  // "combined": the arms that it joins
};

struct RemedyMeasures {
  std::string name;      // of the sweep
  std::string baseline;  // an arm's name among `runs`
  std::string task;      // name of the task; empty = none
  std::vector<MeasuredArm> arms = {};
  std::vector<RemedyMeasure> runs = {};  // baseline and remedies
  std::vector<RemedyMeasure> law = {};   // of plain repetition, which the law is fitted to
  std::vector<std::string> notes = {};   // runs without a loss, …
};

// The document ration.measured/1; from_json: ErrorKind::input names what is missing or wrong.
Json to_json(const RemedyMeasures& measured);
Result<RemedyMeasures> measures_from_json(const Json& json, const std::string& file);

// <store>/studies/<name>/measured.json
Path measures_path(const Path& store, const std::string& name);
Result<void> write_measures(Files& files, const Path& store, const RemedyMeasures& measured);

}  // namespace ration::study
