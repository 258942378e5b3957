#pragma once

#include <span>

#include "store/store.h"

namespace ration::cli {

// Refuses to fit runs whose data came from one corpus (`ration data fetch`) in different versions.
// Looks at the manifests of the data folders that the runs name, as far as these still hold the
// data that the runs used. Returns what could not be looked at, in words, empty when nothing.
// Error (ErrorKind::untrusted): drift; names the corpus and both digests.
Result<std::string> check_corpus_drift(const Path& store, std::span<const store::Observation> runs);

}  // namespace ration::cli
