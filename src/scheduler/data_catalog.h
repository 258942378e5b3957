#pragma once

// The prepared data that the points of a sweep name; each manifest is read once.

#include <map>
#include <string>

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
  // Whether points that name no data have some.
  bool replaced() const { return !instead_.empty(); }

 private:
  Files& files_;
  Path base_;
  std::string instead_;
  std::map<std::string, Entry> entries_, sources_;
};

}  // namespace ration::scheduler
