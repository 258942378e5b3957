#pragma once

// Auxiliary data in sweeps: [sources.NAME] tables, and what the names in `aux` become.

#include <map>
#include <string>

#include "run/spec.h"
#include "scheduler/data_catalog.h"
#include "scheduler/definition.h"
#include "scheduler/document.h"

namespace ration::scheduler {

std::map<std::string, SourceTable> read_source_tables(const Node& node,
                                                      const SourceText& source,
                                                      Problems& problems);

// Replaces the names in spec.aux, "code" or with a weight of their own "code*0.3", by the one text
// of their data, weights, unique tokens (0 by those there are) and caps; returns their folders as
// execution.aux_data has them. A text of digests is left alone. Errors: an unknown name, no
// prepared data in a folder, too little of it, data prepared with another tokenizer than
// `target`'s.
Result<std::string> expand_aux(run::RunSpec& spec,
                               const std::map<std::string, SourceTable>& sources,
                               const data::Manifest& target,
                               DataCatalog& data);

}  // namespace ration::scheduler
