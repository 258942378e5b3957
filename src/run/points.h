#pragma once

// A list of points in weight space to be evaluated on held-out text: what a run with `points` does.
// Each point is made of models by a recipe of the room `merge`. The file is JSON:
//
//   {"schema":"ration.points/1",
//    "models":{"base":"run:ID","prose":"run:ID@400","file":"sha256:HEX"},
//    "files":{"file":"/path/model.safetensors"},              where models known by content lie
//    "corpora":[{"name":"prose","data":"/path","digest":"…","first_window":0,"windows":64}],
//    "points":[{"name":"ties/0.2","recipe":{"method":"ties","base":"base","models":["prose"]},
//               "corpora":[0]}],
//    "sequences":true,
//    "probe":{"steps":50,"lr":0.1,"sequences":8}}
//
// The run writes attempt-<n>/points.jsonl, a line a point and corpus in the order of the list, and
// a result that names the file (docs/formats.md).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "run/weights.h"

namespace ration::run {

// Held-out windows of prepared data: windows first_window … first_window + windows - 1 of the split
// `val`, so that one part can choose and another report.
struct PointCorpus {
  std::string name;
  std::string data;               // folder
  std::string digest;             // of its manifest; a folder with another one is refused
  std::int64_t first_window = 0;  // windows of the run's context
  std::int64_t windows = 0;       // 0 = all from first_window on

  bool operator==(const PointCorpus&) const = default;
};

struct Point {
  std::string name;
  Json recipe;                       // merge/recipe.h; its models are names of PointList::models
  std::vector<std::size_t> corpora;  // of PointList::corpora; empty = all
};

// Before each evaluation a bias on the logits is fitted, all else fixed: `steps` of Adam at `lr` on
// batches of `sequences` windows of the corpus's training split, the same for all points.
struct PointProbe {
  std::int64_t steps = 50;     // 1 … 1e6
  double lr = 0.1;             // above 0
  std::int64_t sequences = 8;  // a step, 1 … 65536
};

struct PointList {
  std::map<std::string, Weights> models;
  std::map<std::string, std::string> files;  // model with a sha256 -> path
  std::vector<PointCorpus> corpora;
  std::vector<Point> points;
  bool sequences = false;  // also the loss of each window, for paired comparisons
  std::optional<PointProbe> probe;
};

// The canonical text; its SHA-256 is the identity of the list.
std::string points_text(const PointList& list);
// ErrorKind::input with what is wrong: another schema, unknown members, a point without models or
// with an unknown one, corpora out of range, a file model without its path, names that repeat.
Result<PointList> parse_points(std::string_view text, const std::string& file);

// The runs whose weights the list needs, each once, in the order of the models' names.
std::vector<Weights> runs_needed(const PointList& list);

}  // namespace ration::run
