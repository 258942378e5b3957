#pragma once

// What the store writes beside the database so that the database can be made again; private to the
// room. sweeps/<name>-<version>.toml is the sweep as it was typed, …json its runs.

#include <functional>

#include "store/database.h"
#include "store/writer.h"

namespace ration::store {

Result<void> write_sweep_record(Files& files, const Layout& layout, const SweepRecord& sweep);

// Adds runs and their settings inside a transaction; finish() before it is committed. Settings are
// kept until then and written setting by setting, as their table is ordered.
class RunInserter {
 public:
  RunInserter(Database& database, std::function<std::int64_t(const std::string&)> name_id);
  std::int64_t add(const Member& member,
                   const std::string& config,
                   const std::string& execution,
                   double created);
  void finish();

 private:
  struct Setting {
    std::int64_t run = 0;
    run::Value value;
  };

  Database& database_;
  Statement insert_run_;
  Statement insert_setting_;
  std::function<std::int64_t(const std::string&)> name_id_;
  std::vector<std::vector<Setting>> settings_;  // of each of run::identity_fields()
};

}  // namespace ration::store
