#pragma once

// What the store writes beside the database so that the database can be made again; private to the
// room. sweeps/<name>-<version>.toml is the sweep as it was typed, …json its runs.

#include <span>

#include "store/database.h"
#include "store/writer.h"

namespace ration::store {

Result<void> write_sweep_record(Files& files, const Layout& layout, const SweepRecord& sweep);

// Adds runs, inside a transaction. `members` are those that are added together: a run that begins
// with another is in the cell that the other's replicas share, in whatever order they come.
class RunInserter {
 public:
  RunInserter(Database& database, std::span<const Member> members);
  std::int64_t add(const Member& member,
                   const std::string& config,
                   const std::string& execution,
                   double created);

 private:
  std::string cell_of(const run::RunSpec& spec);

  Database& database_;
  std::span<const Member> members_;
  Statement insert_run_, find_cell_;
};

}  // namespace ration::store
