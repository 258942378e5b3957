#pragma once

// What the commands over a store share.

#include <string>
#include <vector>

#include "cli/command.h"
#include "store/store.h"

namespace ration::cli {

// --store DIR; RATION_STORE or ration-runs unless given.
Option store_option();

// The store that --store names, opened for reading.
// What this command and its children write from now on is as open as the store's folder is; a new
// store is its owner's alone.
void guard_store(const Arguments& arguments);

// Fails where a command would write over one of the store's own files.
Result<void> refuse_own_file(const store::Layout& layout, const Path& file);

Result<store::Reader> open_store(const Arguments& arguments);

// The runs that positional arguments name (unique beginnings of run ids), and with --sweep all of a
// sweep. All unknown names in one error.
Result<std::vector<store::RunRow>> named_runs(const store::Reader& store,
                                              const Arguments& arguments);

// The first 12 digits: enough for people, and accepted by every command.
std::string short_id(const std::string& run);

// {"done": 3, …}, states without runs left out.
Json states_json(const std::array<std::int64_t, store::kRunStates>& by_state);
// One run as every --json shows it.
Json run_json(const store::RunRow& row);

// A table of runs for people, at most `limit` rows.
std::string runs_table(const std::vector<store::RunRow>& rows, std::size_t limit);

}  // namespace ration::cli
