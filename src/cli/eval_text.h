#pragma once

// An evaluation for people, and its items as a table.

#include <string>

#include "eval/pairs/document.h"

namespace ration::cli {

std::string eval_text(const eval::Evaluation& evaluation);

// A row an item and prompt, CSV: where the item stands, and of each choice what all scores follow
// from (docs/formats.md).
std::string items_csv(const eval::PairTask& task,
                      const eval::Request& request,
                      const eval::RequestOptions& options,
                      const eval::ItemSums& sums);

}  // namespace ration::cli
