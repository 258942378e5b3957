#pragma once

#include <string>

#include "scheduler/sweep.h"
#include "support/temporary_folder.h"

namespace ration::scheduler::test {

// A folder with prepared data named "data": bytes, a pool of `train_tokens`, 100,000 held out.
class PreparedFolder {
 public:
  explicit PreparedFolder(std::int64_t train_tokens = 1'000'000);

  Path path() const { return folder_.path(); }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  // Reads and expands `text` as a sweep file in this folder.
  Result<Expansion> expand(const std::string& text, const ExpandOptions& options = {}) const;

 private:
  ration::test::TemporaryFolder folder_;
};

// "line:column what" of every problem, in order; the whole error where it has no causes.
std::vector<std::string> problems_of(const Error& error);

}  // namespace ration::scheduler::test
