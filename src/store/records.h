#pragma once

// What the store writes beside the database so that the database can be made again; private to the
// room. sweeps/<name>-<version>.toml is the sweep as it was typed, …json its runs.

#include "store/database.h"
#include "store/writer.h"

namespace ration::store {

Result<void> write_sweep_record(Files& files, const Layout& layout, const SweepRecord& sweep);

// Adds runs, inside a transaction.
class RunInserter {
 public:
  explicit RunInserter(Database& database);
  std::int64_t add(const Member& member,
                   const std::string& config,
                   const std::string& execution,
                   double created);

 private:
  Database& database_;
  Statement insert_run_;
};

}  // namespace ration::store
