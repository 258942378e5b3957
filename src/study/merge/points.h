#pragma once

// Lists of points of a study of merging, and their losses read back by name.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "eval/points.h"
#include "run/points.h"
#include "study/merge/models.h"

namespace ration::study {

// How losses come to be: eval::evaluate_points, or what a test makes up. `part` names the list
// among those of a study: letters and digits.
using MergeEvaluate = std::function<Result<std::vector<eval::PointLoss>>(const run::PointList& list,
                                                                         const std::string& part)>;

enum class Half { choose, report };

// Of a corpus and half: place among the list's corpora.
constexpr std::size_t place_of(std::size_t corpus, Half half) {
  return 2 * corpus + (half == Half::report ? 1 : 0);
}

// Collects points, each once however often it is asked for, on every corpus that is asked for.
class MergePoints {
 public:
  explicit MergePoints(const MergeModels& models) : models_(models) {}

  // The name under which its losses will be found.
  std::string add(const Json& recipe, const std::vector<std::size_t>& corpora, Half half);
  // A model as it is.
  std::string add_model(const std::string& model,
                        const std::vector<std::size_t>& corpora,
                        Half half);
  // Weights that the models do not name: a file.
  void add_file(const std::string& name, const std::string& sha256, const Path& file);

  bool empty() const { return points_.empty(); }
  run::PointList list() const;  // in the order of adding

 private:
  const MergeModels& models_;
  std::vector<run::Point> points_;
  std::map<std::string, std::size_t> index_;  // of points_, by name
  std::map<std::string, run::Weights> weights_;
  std::map<std::string, std::string> files_;
};

class MergeLosses {
 public:
  struct Loss {
    double loss = 0;  // nats a token; NaN where the weights give no finite one
    std::int64_t tokens = 0;
  };

  // Evaluates what is in `points`; nothing where that is empty.
  Result<void> evaluate(const MergePoints& points,
                        const MergeEvaluate& evaluate,
                        const std::string& part);

  // Of a point that was evaluated there.
  Loss at(const std::string& point, std::size_t corpus, Half half) const;

 private:
  std::map<std::pair<std::string, std::size_t>, Loss> losses_;  // by point and place_of
};

}  // namespace ration::study
