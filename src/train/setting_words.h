#pragma once

// Settings of a run as words of the command line: "width=384", "device=cuda".

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "run/spec.h"

namespace ration::train {

// The part in front of the equals sign; all of it where there is none.
std::string_view name_of_setting(std::string_view word);
// True for settings that change no number of a run's result: device, threads, data, …
bool is_execution_setting(std::string_view name);

// One "name=value" into the run. Errors (ErrorKind::usage): another form, an unknown name, a value
// of another type or out of its range.
Result<void> apply_setting(const std::string& word, run::RunFile& file);

// Takes the words "sequences=N" out of the settings: the last number, from 1 to 1e9, or `usual`.
// Errors (ErrorKind::usage): no such number.
Result<std::int64_t> take_sequences(std::vector<std::string>& settings, std::int64_t usual);

}  // namespace ration::train
