#pragma once

// The files of weights, and the lists of points, that the runs of a sweep name as "file:PATH"; each
// is read once.

#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "run/weights.h"

namespace ration::scheduler {

class WeightsCatalog {
 public:
  // Relative names start at `base`; empty = the current folder.
  WeightsCatalog(Files& files, const Path& base);

  struct Entry {
    std::string setting;              // "sha256:HEX", of the content
    std::string file;                 // absolute
    std::vector<run::Weights> needs;  // of runs, that a list of points names
  };
  // A safetensors file, or a folder that holds model.safetensors. ErrorKind::input: missing, or no
  // sound safetensors file.
  const Result<Entry>& weights(const std::string& path);
  // A list of points (run/points.h). ErrorKind::input: missing, or no such list.
  const Result<Entry>& points(const std::string& path);

 private:
  Result<Entry> read_weights(Path path) const;
  Result<Entry> read_points(const Path& path) const;

  Files& files_;
  Path base_;
  std::map<std::string, Result<Entry>> weights_, points_;
};

}  // namespace ration::scheduler
