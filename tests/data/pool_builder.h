#pragma once

#include <cstdint>
#include <vector>

#include "data/shards.h"

namespace ration::test {

using Documents = std::vector<std::vector<std::uint32_t>>;

// Writes a folder of prepared data by hand, straight from the description of the format, and
// returns its manifest. The held-out split is one document of one token, 0, unless given.
data::Manifest write_pool(const Path& folder,
                          const Documents& documents,
                          std::int64_t vocab,
                          const Documents& held_out = {{0}});

// Opens the training pool of such a folder; throws when it cannot be opened.
data::TokenPool open_train_pool(const Path& folder);

}  // namespace ration::test
