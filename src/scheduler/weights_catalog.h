#pragma once

// The files of weights, and the lists of points, that the runs of a sweep name as "file:PATH", or
// as "git:REV:PATH" of a repository; each is read once.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "run/points.h"
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
    std::uint64_t numbers = 0;        // floating-point numbers of all tensors of a file of weights
    // Of a list of points: what it reads, and the most windows of each.
    std::vector<run::PointCorpus> corpora = {};
  };
  // What checkpoint::Checkpoint::open takes: a safetensors file, an index of shards, or a folder
  // that holds one. ErrorKind::input: missing, damaged, or with NaN or infinity.
  const Result<Entry>& weights(const std::string& path);
  // The same of a file of a git revision, in the repository that holds the folder `base`: what
  // `git-ration export REV:PATH` makes of it. ErrorKind::resource where that program is missing.
  const Result<Entry>& committed(const std::string& name);
  // A list of points (run/points.h). ErrorKind::input: missing, no such list, a recipe that no
  // merge takes or that needs statistics, files that are missing, corpora that are other data.
  const Result<Entry>& points(const std::string& path);

 private:
  Result<Entry> read_weights(Path path) const;
  Result<Entry> read_committed(const std::string& name) const;
  Result<Entry> read_points(const Path& path) const;

  Files& files_;
  Path base_;
  std::map<std::string, Result<Entry>> weights_, committed_, points_;
};

}  // namespace ration::scheduler
