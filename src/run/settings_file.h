#pragma once

// run.json from texts that are canonical already, as a store keeps them: for thousands of runs at
// once, which need not be read to be copied.

#include <string>
#include <string_view>

#include "base/files.h"

namespace ration::run {

// The bytes that run_json() makes of the spec and execution with these canonical texts.
std::string run_json_text(std::string_view id,
                          std::string_view canonical_spec,
                          std::string_view canonical_execution);

// As RunFolder::create(): makes the folder, and run.json of that text. The text must be a run's.
Result<void> create_run_folder(Files& files, const Path& folder, const std::string& text);

}  // namespace ration::run
