#pragma once

// Which evaluations are the same, and what becomes of two that are; private to the room.

#include <string>

#include "base/json.h"

namespace ration::store {

// Of a document of ration.eval/1: its weights, items and settings by their content, and the run
// that the weights lie in (two may end with the same ones), 32 hex digits. How the checkpoint was
// called, where files lie and which scores were asked for are no part of it.
std::string eval_digest(const Json& document);

// The later of two such documents with what it lacks of the earlier one: rows of other scores and
// the comparison. One with another checkpoint takes the place of the earlier one.
Json merged_eval(const Json& earlier, Json later);

}  // namespace ration::store
