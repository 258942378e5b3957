#pragma once

// A folder that appears whole or not at all. It is written as <folder>.tmp, which one process at a
// time may hold, and renamed at the end; what a killed process left there, the next
// one goes on with or clears. A folder that is replaced waits as <folder>.replaced.tmp between two
// renames.

#include <memory>

#include "base/files.h"

namespace ration::data {

class OutputFolder {
 public:
  // Ends what a kill within publish() left undone: puts the older folder back, or removes it where
  // the new one stands already.
  static Result<void> recover(Files& files, const Path& folder);

  // Takes <folder>.tmp, with what a killed writer left there. Errors: another process writes there
  // (ErrorKind::resource), or it holds what no writer left (ErrorKind::usage).
  static Result<OutputFolder> claim(Files& files, const Path& folder);

  ~OutputFolder();  // removes <folder>.tmp unless it was published
  OutputFolder(OutputFolder&&) = default;
  OutputFolder& operator=(OutputFolder&&) = delete;

  const Path& temporary() const { return temporary_; }

  // Removes what lies in <folder>.tmp.
  Result<void> clear();

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
