#pragma once

// As which source of a run other text is read, by routers that are told the source of each sequence
// (docs/experts.md).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "run/spec.h"

namespace ration::train {

// Takes the word "source=N" out of the settings: 0 the main data, i the i-th source of aux; nothing
// where it is not there. Errors (ErrorKind::usage): no whole number from 0 on.
Result<std::optional<std::int64_t>> take_source(std::vector<std::string>& settings);

// The number that is told of data with this digest: `asked`, else that of the source of the run
// that they are; 0 for routers that are told nothing. Errors (ErrorKind::usage): `asked` is none of
// the run's sources, or its router is told nothing; the data are none of them, and nothing is
// asked.
Result<std::int64_t> source_of_data(const run::RunSpec& spec,
                                    const std::string& digest,
                                    std::optional<std::int64_t> asked);

// The same of text without a digest: the main data, unless asked otherwise.
Result<std::int64_t> source_of_text(const run::RunSpec& spec, std::optional<std::int64_t> asked);

}  // namespace ration::train
