#pragma once

// A folder that appears whole or not at all. It is written as <folder>.tmp, which one process at a
// time may hold, and renamed at the end; whatever a killed process left there is removed by the
// next.

#include <memory>

#include "base/files.h"

namespace ration::data {

class OutputFolder {
 public:
  // Puts back what a kill between the two renames of publish() set aside. Harmless otherwise.
  static Result<void> recover(Files& files, const Path& folder);

  // Takes an empty <folder>.tmp. Error (ErrorKind::resource): another process writes there.
  static Result<OutputFolder> claim(Files& files, const Path& folder);

  ~OutputFolder();  // removes <folder>.tmp unless it was published
  OutputFolder(OutputFolder&&) = default;
  OutputFolder& operator=(OutputFolder&&) = delete;

  const Path& temporary() const { return temporary_; }

  // Makes the folder appear under its name, in place of an older one. Every file must be synced.
  Result<void> publish();

 private:
  class Lock;
  OutputFolder(Files& files, Path folder, std::unique_ptr<Lock> lock);

  Files* files_;
  Path folder_;
  Path temporary_;
  std::unique_ptr<Lock> lock_;  // null once published or moved from
};

}  // namespace ration::data
