#pragma once

// Settings as text, and run.json from such texts, as a store keeps them: for thousands of runs at
// once, which need not be read to be copied.

#include <span>
#include <string>
#include <string_view>

#include "base/files.h"
#include "run/spec.h"

namespace ration::run {

// canonical_json(to_json(…)), settings in `without` left out.
std::string canonical_text(const RunSpec& spec, std::span<const std::string_view> without = {});
std::string canonical_text(const Execution& execution);

// The settings that `common` has otherwise, a flat object: {…common…, …difference…} reads back as
// the first.
Json difference(const RunSpec& spec, const RunSpec& common);
Json difference(const Execution& execution, const Execution& common);

// The bytes that run_json() makes of the spec and execution with these canonical texts.
std::string run_json_text(std::string_view id,
                          std::string_view canonical_spec,
                          std::string_view canonical_execution);

// As RunFolder::create(): makes the folder, and run.json of that text. The text must be a run's.
Result<void> create_run_folder(Files& files, const Path& folder, const std::string& text);

}  // namespace ration::run
