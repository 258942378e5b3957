#pragma once

// Where models lie: their task vectors' cosines, and whether these follow a label.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "region/gram.h"
#include "study/region/findings.h"
#include "study/region/models.h"

namespace ration::study {

// The safetensors file of a trained run.
using WeightsOf = std::function<Result<Path>(const Model& model)>;

// All vectors of a study from one pass: models, second_models, amounts, and last the second start.
struct RegionVectors {
  std::vector<Model> models;
  std::vector<region::Gram> grams;  // of theta - theta_0; "all" first
  std::size_t first = 0;            // of them, RegionModels::models
  std::size_t second = 0;           // … second_models
  std::size_t amounts = 0;

  const region::Gram& all() const { return grams.front(); }
};

Result<RegionVectors> region_vectors(Files& files,
                                     const RegionModels& models,
                                     const WeightsOf& weights_of);

// Cosines [n, n] of the models at `places`, each vector measured from the start that its model
// began with: products of the second start's models follow from theirs with that start.
std::vector<double> cosines_from_own_start(const RegionVectors& vectors,
                                           std::span<const std::size_t> places);

// Whether cosines follow corpus, family (whole corpora permuted), start, and, as a control that
// should not, the amount of text.
Result<std::vector<Finding>> label_findings(const RegionTable& table,
                                            const RegionModels& models,
                                            const RegionVectors& vectors);

// Columns group, a, b, corpus_a, corpus_b, distance, cosine: a row a pair and group of tensors.
DataTable pairs_table(const RegionVectors& vectors);

}  // namespace ration::study
