#pragma once

// A task of pairs from anybody's own text: which of two stretches goes on with a document? What
// small models can do long before they can summarise.
//
//   Result<std::string> lines = continuation_pairs(held_out_documents, {.items = 200});

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace ration::eval {

struct ContinuationOptions {
  std::int64_t items = 200;           // at most; 1 to 1e6
  std::int64_t document_bytes = 200;  // 20 to 1e6; prompt and choice must fit a model's context
  std::int64_t choice_bytes = 60;     // 10 to 1e5; both choices end with the word that reaches it
  std::uint64_t seed = 0;
};

// JSON lines {"id","document","consistent","inconsistent","group":"continuation"}. Documents come
// in an order drawn by Stream(seed, StreamId::documents); each gives its beginning and what
// follows, and once all did, the next stretch of those that are long enough. The inconsistent
// choice is the true one of an item of another document. ErrorKind::input: fewer than two documents
// are long enough.
Result<std::string> continuation_pairs(std::span<const std::string> documents,
                                       const ContinuationOptions& options);

}  // namespace ration::eval
