#pragma once

// A small world of corpora, models and losses in which the answers of a region study are known.
// Weights are vectors theta; fine-tuning on a corpus goes from the start towards the corpus's
// optimum (common + of its family + of its own), with noise of the seed. The loss of theta on a
// corpus is 1 + |theta - optimum|^2 / D.

#include <map>
#include <string>
#include <vector>

#include "scheduler/sweep.h"
#include "study/region/study.h"
#include "support/temporary_folder.h"

namespace ration::study::test {

using Vector = std::vector<double>;

struct WorldOptions {
  double common = 1;  // length of each part of an optimum, a coordinate
  double family = 1;
  double own = 1;
  double noise = 0.3;
};

class RegionWorld {
 public:
  explicit RegionWorld(const WorldOptions& options = {});

  // Two families of two corpora, prepared data and all: legal, essays (prose), pystd, boost (code).
  static const std::vector<std::string>& corpora();

  // A sweep file with a base, three models of each corpus, two of a second start for each corpus of
  // the first family, and amounts of two corpora; `region` is the text of its table.
  scheduler::Sweep sweep(const std::string& region) const;
  std::vector<Model> models(const std::string& region) const;

  // Trains and evaluates by formula; counts what it is asked for.
  RegionWork work();
  std::int64_t evaluations = 0;  // of points
  std::int64_t trained = 0;      // runs of sweeps that `work` trained

  Path store() const { return folder_ / "store"; }
  double loss(const Vector& theta, const std::string& corpus) const;

 private:
  Vector trained_vector(const Model& model, const Vector& start) const;
  Result<void> train(const std::vector<Model>& models);
  Result<std::vector<eval::PointLoss>> evaluate(const run::PointList& list);
  Path file_of(const std::string& run) const { return folder_ / (run + ".safetensors"); }

  WorldOptions options_;
  ration::test::TemporaryFolder folder_;
  std::size_t dimension_;                  // D, what a model of the sweep has
  std::map<std::string, Vector> optimum_;  // by corpus
  std::map<std::string, Vector> theta_;    // by run-id
  std::map<std::string, Vector> by_sha_;
};

// The table that the tests use, small enough for a second.
inline constexpr const char* kSmallTable =
    "[region]\nsecond_start = 'base-2'\namounts = ['amounts-legal', 'amounts-boost']\n"
    "family = { legal = 'prose', essays = 'prose', pystd = 'code', boost = 'code' }\n"
    "lines = 4\nhull_samples = 8\ncontrols = 2\npermutations = 300\ndraws = 100\nparts = 2\n"
    "[region.centroid]\ntokens = [640, 1280]\ntune = 'all'\nseeds = 3\n";

}  // namespace ration::study::test
