#pragma once

// Blocks whose runs begin with the runs of another block: `init = "block:NAME"`.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/definition.h"
#include "scheduler/problems.h"

namespace ration::scheduler {

// "block:NAME" or "block:NAME@STEP"; nothing for anything else. STEP is left as it stands.
struct BlockReference {
  std::string_view block;
  std::string_view step;  // "", or "@STEP"
};
std::optional<BlockReference> parse_block_reference(std::string_view init);

// The blocks by number, each behind those that its runs begin with. Nothing, and problems with
// their places, when a name is unknown or blocks wait for one another.
std::optional<std::vector<std::size_t>> expansion_order(const Definition& definition,
                                                        Problems& problems);

// The runs of the named blocks that were expanded so far.
class BlockRuns {
 public:
  void add(const std::string& block, std::int64_t replica, const std::string& run);
  // Its problems were told: who looks for its runs finds nothing, and tells no more.
  void spoil(const std::string& block) { spoilt_.insert(block); }

  // The run that `replica` of another block begins with: the only one of the block, or the one of
  // the same replica. ErrorKind::usage when there are several, or none; nothing for a spoilt block.
  Result<std::optional<std::string>> find(std::string_view block, std::int64_t replica) const;

 private:
  using Replicas = std::map<std::int64_t, std::set<std::string>>;
  std::map<std::string, Replicas, std::less<>> blocks_;
  std::set<std::string, std::less<>> spoilt_;
};

}  // namespace ration::scheduler
