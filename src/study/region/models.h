#pragma once

// The models of a region study in their groups: by the start, the corpus, the family of corpora and
// the amount of text.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "study/models.h"
#include "study/region/table.h"

namespace ration::study {

struct RegionModels {
  Model base;                                 // theta_0
  std::optional<Model> second;                // another theta_0
  std::vector<Model> models;                  // began with `base`; the same amount of text each
  std::vector<Model> second_models;           // began with `second`
  std::vector<Model> amounts;                 // began with `base`; blocks of RegionTable::amounts
  std::map<std::string, Model> controls;      // CentroidTable::control, by corpus
  std::vector<std::string> corpora;           // of `models`, in the file's order
  std::map<std::string, std::string> family;  // of each corpus; its own name without families
};

// Sorts the runs of a sweep. ErrorKind::usage with all problems: blocks that are not there or have
// several runs, fewer than two corpora or two models of one, corpora without a family and families
// of unknown corpora, controls of corpora without one, models of other shapes than the base.
Result<RegionModels> region_models(const RegionTable& table,
                                   const std::vector<Model>& models,
                                   const std::string& file);

// "legal 0": corpus and replica, for people.
std::string model_label(const Model& model);
// Of the run, in lists of points: its first twelve digits.
std::string short_name(const Model& model);

// The corpora of one family, in order.
std::vector<std::string> corpora_of(const RegionModels& models, const std::string& family);
// The places in `models.models` of those of a corpus.
std::vector<std::size_t> members_of(const RegionModels& models, const std::string& corpus);

}  // namespace ration::study
