#pragma once

// How [fuse] is read, in parts: each takes the members that are its own, and leaves what is wrong
// in the reader. Internal to the room.

#include <string>
#include <vector>

#include "base/table_reader.h"
#include "fuse/config.h"

namespace ration::fuse {

// `where` is the file, for messages.
void read_contributors(TableReader& read,
                       const std::string& where,
                       Config& config,
                       std::vector<Error>& problems);
void read_faults(TableReader& read, Config& config);

// Of the whole: what asynchronous arrivals, which change the base one by one, have no use for.
void check_async(TableReader& read, const Config& config);
void check_together(TableReader& read, const Config& config);
// What would change nothing: who writes it expects something of it.
void check_effects(TableReader& read, const Config& config);

std::string text_of(const Fault& fault);  // as read_faults() reads it

}  // namespace ration::fuse
