#pragma once

// What changed between two versions, for people and for programs.

#include <string>

#include "base/json.h"
#include "versions/compare.h"

namespace ration::git {

// Tensors that changed as a table, then metadata, what is the same, and what could not be read.
// Empty where nothing changed.
std::string difference_table(const versions::Difference& difference);

// An object with the members opaque, bytes_before, bytes_after, tensors, metadata and unread.
Json to_json(const versions::Difference& difference);

// "2.5 %", "0.012": as the table has them.
std::string percent(double share);
std::string short_number(double number);

}  // namespace ration::git
