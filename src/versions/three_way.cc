#include "versions/three_way.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "merge/numbers.h"

namespace ration::versions {
namespace {

using Kind = Strategy::Kind;

bool alike(const ManifestTensor* a, const ManifestTensor* b) {
  return a->dtype == b->dtype && a->shape == b->shape;
}

bool equal(const ManifestTensor* a, const ManifestTensor* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return alike(a, b) && a->id == b->id;
}

Verdict conflict(std::string reason) { return {Outcome::conflict, std::move(reason)}; }

// Of something that neither side left alone and at least one of the three lacks.
std::optional<Verdict> absence(bool base, bool ours, bool theirs) {
  if (!base) return conflict("added by both");
  if (!ours) return conflict("deleted by ours, changed by theirs");
  if (!theirs) return conflict("changed by ours, deleted by theirs");
  return std::nullopt;
}

Verdict changed_by_both(checkpoint::DType dtype, const Strategy& strategy) {
  switch (strategy.kind) {
    case Kind::fail:
      return conflict("changed by both");
    case Kind::ours:
      return {Outcome::ours};
    case Kind::theirs:
      return {Outcome::theirs};
    case Kind::base:
      return {Outcome::base};
    default:
      break;
  }
  if (merge::is_float(dtype)) return {Outcome::mixed};
  return conflict(fmt::format("changed by both, and {} are not mixed", checkpoint::name(dtype)));
}

class Names {
 public:
  explicit Names(const Manifest& manifest) {
    for (const ManifestTensor& tensor : manifest.tensors) tensors_.emplace(tensor.name, &tensor);
  }
  const ManifestTensor* find(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
  }

 private:
  std::unordered_map<std::string_view, const ManifestTensor*> tensors_;
};

}  // namespace

Verdict judge(const ManifestTensor* base,
              const ManifestTensor* ours,
              const ManifestTensor* theirs,
              const Strategy& strategy) {
  if (equal(ours, theirs) || equal(base, theirs)) return {Outcome::ours};
  if (equal(base, ours)) return {Outcome::theirs};
  if (auto absent = absence(base != nullptr, ours != nullptr, theirs != nullptr)) return *absent;
  if (!alike(base, ours) || !alike(base, theirs))
    return conflict("changed by both, at least one of them its dtype or shape");
  return changed_by_both(base->dtype, strategy);
}

Verdict judge_text(const std::optional<std::string>& base,
                   const std::optional<std::string>& ours,
                   const std::optional<std::string>& theirs,
                   const Strategy& strategy) {
  if (ours == theirs || base == theirs) return {Outcome::ours};
  if (base == ours) return {Outcome::theirs};
  if (strategy.kind == Kind::ours || strategy.mixes()) return {Outcome::ours};
  if (strategy.kind == Kind::theirs) return {Outcome::theirs};
  if (strategy.kind == Kind::base) return {Outcome::base};
  return absence(base.has_value(), ours.has_value(), theirs.has_value())
      .value_or(conflict("changed by both"));
}

std::vector<Judged> judge(const Manifest& base,
                          const Manifest& ours,
                          const Manifest& theirs,
                          const Strategy& strategy,
                          const std::set<std::string>& unclear) {
  const Names bases(base);
  const Names our_names(ours);
  const Names their_names(theirs);
  std::vector<Judged> all;
  std::unordered_set<std::string_view> seen;
  for (const Manifest* manifest : {&ours, &theirs, &base})
    for (const ManifestTensor& tensor : manifest->tensors) {
      if (!seen.insert(tensor.name).second) continue;
      const ManifestTensor* a = our_names.find(tensor.name);
      const ManifestTensor* b = their_names.find(tensor.name);
      const bool known = equal(a, b) || !unclear.contains(tensor.name);
      all.push_back({tensor.name,
                     known ? judge(bases.find(tensor.name), a, b, strategy)
                           : conflict("already a conflict between the common ancestors")});
    }
  return all;
}

}  // namespace ration::versions
