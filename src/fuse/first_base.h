#pragma once

// What a fusion begins with, as [fuse] names it. Internal to the room.

#include "fuse/fuse.h"

namespace ration::fuse {

// Sets base, model and data of `setup`, whose store and folder are set. `base`: "block:NAME",
// "run:ID[@STEP]" or "file:PATH"; `replica` of a block. Errors: a base that is not there, or not
// one file.
Result<void> find_base(const std::string& base,
                       const scheduler::Sweep& sweep,
                       const scheduler::ExpandOptions& options,
                       std::int64_t replica,
                       Files& files,
                       Setup& setup);

// Sets model and data to the settings of the block's runs, which need not be trained.
Result<void> expect_block(const std::string& block,
                          const scheduler::Sweep& sweep,
                          const scheduler::ExpandOptions& options,
                          Files& files,
                          Setup& setup);

}  // namespace ration::fuse
