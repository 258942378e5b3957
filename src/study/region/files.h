#pragma once

// Models that a study makes of trained ones, as safetensors files below its folder: controls and
// centroids. Repeated, they have the same bytes.

#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "study/region/points.h"
#include "study/region/vectors.h"

namespace ration::study {

class RegionFiles {
 public:
  // All must outlive the object.
  RegionFiles(Files& files, Path folder, const RegionModels& models, const WeightsOf& weights_of)
      : files_(files), folder_(std::move(folder)), models_(models), weights_of_(weights_of) {}

  // Of each region with controls table.controls of either kind; a shuffled one is made of one
  // member, the members in turn.
  Result<Controls> write_controls(const RegionTable& table, std::span<const Region> regions);

  // The average of some of RegionModels::models.
  Result<ControlFile> write_centroid(const std::string& corpus,
                                     const std::vector<std::size_t>& members);

 private:
  struct Opened;
  Result<void> open(Opened& opened, const std::vector<std::size_t>& members);
  Result<ControlFile> write_control(const Region& region,
                                    bool random,
                                    std::int64_t seed,
                                    std::size_t number);
  Result<ControlFile> known(const Path& path);
  Path path_of(const std::string& name) const { return folder_ / (name + ".safetensors"); }

  Files& files_;
  Path folder_;
  const RegionModels& models_;
  const WeightsOf& weights_of_;
};

}  // namespace ration::study
