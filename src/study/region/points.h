#pragma once

// The points in weight space that a region study evaluates: models, lines between them, hulls with
// their controls, and a triangle.

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eval/points.h"
#include "run/points.h"
#include "study/output.h"
#include "study/region/models.h"

namespace ration::study {

// A line from `a` to `b`, and the corpora of both ends, whose mean loss is looked at.
struct LinePair {
  std::string kind;  // "same corpus", "same family", "across families", "start to model", …
  Model a, b;
  std::vector<std::string> corpora;
};

// Up to table.lines pairs of each kind; models that no pair has yet go first.
std::vector<LinePair> line_pairs(const RegionTable& table, const RegionModels& models);

// A hull and what it is judged on.
struct Region {
  std::string name;                  // "legal", "prose without legal", "all without legal"
  std::string level;                 // corpus | family | all
  std::string target;                // corpus
  std::vector<std::size_t> members;  // of RegionModels::models
  std::vector<std::size_t> others;   // models of other groups; empty on the level "all"
  bool controls = false;             // models that no training made are compared, too
};

// Of each corpus: its own models; those of its family's other corpora; those of all other corpora.
std::vector<Region> regions_of(const RegionTable& table, const RegionModels& models);

// Three models of corpora as unlike as there are; empty below three corpora.
std::vector<std::size_t> triangle_of(const RegionModels& models);

// What a point of the list is.
struct AboutPoint {
  std::string kind;  // model | line | hull | centroid | random | shuffled | triangle | start
  std::string of;    // the model, line or region
  double alpha = 0;  // of a line
  std::vector<std::pair<std::string, double>> weights = {};  // by short name, or control
};

// Corpora of the list stand in pairs: 2 c to choose on, 2 c + 1 to report on, for corpus c.
struct RegionPoints {
  run::PointList list;
  std::vector<AboutPoint> about;  // beside list.points
};

// The files of controls: region's name and "random" or "shuffled" -> paths with their digests.
struct ControlFile {
  std::string path;
  std::string sha256;
};
using Controls = std::map<std::pair<std::string, std::string>, std::vector<ControlFile>>;

RegionPoints region_points(const RegionTable& table,
                           const RegionModels& models,
                           const std::vector<HeldOut>& held_out,  // of each corpus
                           std::span<const LinePair> lines,
                           std::span<const Region> regions,
                           const Controls& controls);

// Names of points, which losses are found by.
std::string model_point(const Model& model);
std::string line_point(std::size_t line, std::size_t alpha);
std::string region_point(std::string_view kind, const Region& region, std::int64_t number);
std::string triangle_point(std::size_t number);

// RegionLosses by point and corpus.
class RegionLosses {
 public:
  explicit RegionLosses(std::span<const eval::PointLoss> losses);
  double at(const std::string& point, const std::string& corpus) const;  // NaN when there is none

 private:
  std::map<std::pair<std::string, std::string>, double> losses_;
};

// The name, in lists, of the half to choose on.
std::string choosing(const std::string& corpus);

// Columns point, kind, of, alpha, weights, corpus, loss, tokens.
DataTable points_table(const RegionPoints& points, std::span<const eval::PointLoss> losses);

}  // namespace ration::study
