#include "scheduler/block_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace ration::scheduler {
namespace {

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// Orders blocks depth first; each reference is followed once.
class Ordering {
 public:
  Ordering(const Definition& definition, Problems& problems)
      : definition_(definition), problems_(problems), marks_(definition.blocks.size()) {}

  std::vector<std::size_t> order() {
    for (std::size_t block = 0; block < definition_.blocks.size(); ++block) visit(block, {});
    return std::move(order_);
  }
  bool sound() const { return sound_; }

 private:
  enum class Mark : unsigned char { fresh, open, done };

  void visit(std::size_t block, Place from) {
    if (marks_[block] == Mark::done) return;
    if (marks_[block] == Mark::open)
      return report(from,
                    fmt::format("init: the runs of block \"{}\" would begin with themselves",
                                definition_.blocks[block].name),
                    "let one of the blocks on this way begin with something else");
    marks_[block] = Mark::open;
    for (const Given* init : inits_of(definition_.blocks[block])) {
      const auto reference = parse_block_reference(std::get<std::string>(init->value));
      if (!reference) continue;
      if (const std::optional<std::size_t> other = find(reference->block))
        visit(*other, init->place);
      else
        unknown(*reference, init->place);
    }
    marks_[block] = Mark::done;
    order_.push_back(block);
  }

  std::vector<const Given*> inits_of(const Block& block) const {
    const int slot = definition_.names.slot("init");
    std::vector<const Given*> found;
    if (const auto& base = block.base[static_cast<std::size_t>(slot)]) found.push_back(base.get());
    for (const auto& axis : block.axes)
      for (const Row& row : axis->rows)
        for (const Given& cell : row)
          if (cell.slot == slot) found.push_back(&cell);
    return found;
  }

  std::optional<std::size_t> find(std::string_view name) const {
    for (std::size_t i = 0; i < definition_.blocks.size(); ++i)
      if (definition_.blocks[i].name == name) return i;
    return std::nullopt;
  }

  void unknown(const BlockReference& reference, Place place) {
    std::vector<std::string> known;
    for (const Block& block : definition_.blocks)
      if (!block.name.empty()) known.push_back(block.name);
    std::string hint = did_you_mean(std::string(reference.block), known);
    if (hint.empty()) hint = "a line `name = \"…\"` below [[block]] names a block";
    report(place, fmt::format("init: no block is called \"{}\"", reference.block), hint);
  }

  void report(Place place, std::string what, std::string hint) {
    sound_ = false;
    problems_.add(definition_.source->problem(place, std::move(what), std::move(hint)));
  }

  const Definition& definition_;
  Problems& problems_;
  std::vector<Mark> marks_;
  std::vector<std::size_t> order_;
  bool sound_ = true;
};

}  // namespace

std::optional<BlockReference> parse_block_reference(std::string_view init) {
  constexpr std::string_view kPrefix = "block:";
  if (!init.starts_with(kPrefix)) return std::nullopt;
  init.remove_prefix(kPrefix.size());
  const std::size_t at = std::min(init.find('@'), init.size());
  return BlockReference{.block = init.substr(0, at), .step = init.substr(at)};
}

std::optional<std::vector<std::size_t>> expansion_order(const Definition& definition,
                                                        Problems& problems) {
  Ordering ordering(definition, problems);
  std::vector<std::size_t> order = ordering.order();
  if (!ordering.sound()) return std::nullopt;
  return order;
}

void BlockRuns::add(const std::string& block, std::int64_t replica, const std::string& run) {
  blocks_[block][replica].insert(run);
}

Result<std::optional<std::string>> BlockRuns::find(std::string_view block,
                                                   std::int64_t replica) const {
  if (spoilt_.contains(block)) return std::optional<std::string>();
  const auto found = blocks_.find(block);
  if (found == blocks_.end())
    return wrong(fmt::format("init: block \"{}\" has no run", block),
                 "its conditions leave nothing over");
  const Replicas& replicas = found->second;
  const auto own = replicas.size() == 1 ? replicas.begin() : replicas.find(replica);
  if (own == replicas.end())
    return wrong(
        fmt::format("init: block \"{}\" has no run of replica {}", block, replica),
        fmt::format("its `seeds` give {} replicas; use the same for both blocks, or a single one",
                    replicas.size()));
  if (own->second.size() > 1)
    return wrong(fmt::format("init: block \"{}\" has {} runs{}",
                             block,
                             own->second.size(),
                             replicas.size() > 1 ? " of each replica" : ""),
                 "a run begins with one: give each of them a block of its own, with a name");
  return std::optional(*own->second.begin());
}

}  // namespace ration::scheduler
