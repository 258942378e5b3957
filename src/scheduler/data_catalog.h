#pragma once

// The prepared data that the points of a sweep name; each manifest is read once.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "data/manifest.h"

namespace ration::scheduler {

class DataCatalog {
 public:
  // Relative names start at `base`; `instead`, when not empty, replaces every name.
  DataCatalog(Files& files, Path base, const std::string& instead);

  struct Entry {
    std::string folder;  // absolute
    Result<data::Manifest> manifest;
  };
  const Entry& find(const std::string& name);
  // Of an auxiliary source, which nothing replaces.
  const Entry& find_source(const std::string& name);
  // Remembers that training documents of `source` are mixed into runs on `target`, for the notes.
  void mix(const Entry& source, const data::Manifest& target) {
    mixed_.emplace(source.folder, target.digest);
  }
  // What is to be said of held-out text among what is trained on: of each data that was asked for,
  // and of each source that was mixed in. A line each.
  std::vector<std::string> overlap_notes() const;
  // Whether points that name no data have some.
  bool replaced() const { return !instead_.empty(); }

 private:
  Files& files_;
  Path base_;
  std::string instead_;
  std::map<std::string, Entry> entries_, sources_;
  std::set<std::pair<std::string, std::string>> mixed_;  // folder of the source, target's digest
};

}  // namespace ration::scheduler
