#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "versions/collect.h"
#include "versions/hold.h"

namespace ration::versions {
namespace {

// An object and the one that it shall build on.
struct Step {
  ObjectId id;
  std::optional<ObjectId> newer;
  Layout layout;
};

// Of one file: the steps of the newest version first. A tensor of which there is one version stays
// as it is: it may build on another file's.
void add_steps(const std::vector<Manifest>& versions,
               std::unordered_set<ObjectId>& seen,
               std::vector<Step>& steps) {
  std::unordered_map<std::string, std::unordered_set<ObjectId>> kinds;
  for (const Manifest& manifest : versions)
    for (const ManifestTensor& tensor : manifest.tensors) kinds[tensor.name].insert(tensor.id);
  std::unordered_map<std::string, ManifestTensor> newer;
  for (const Manifest& manifest : versions)
    for (const ManifestTensor& tensor : manifest.tensors) {
      if (tensor.bytes == 0 || kinds[tensor.name].size() < 2) continue;
      const auto found = newer.find(tensor.name);
      const bool fits = found != newer.end() && found->second.bytes == tensor.bytes &&
                        found->second.id != tensor.id;
      if (seen.insert(tensor.id).second)
        steps.push_back({tensor.id,
                         fits ? std::optional(found->second.id) : std::nullopt,
                         layout_of(tensor.dtype, tensor.shape)});
      newer.insert_or_assign(tensor.name, tensor);
    }
}

Result<Bytes> bytes_of(const ObjectReader& reader) {
  Bytes bytes(reader.layout().bytes);
  for (std::uint64_t i = 0; i < block_count(bytes.size()); ++i) {
    const std::span<std::byte> block =
        std::span(bytes).subspan(i * kBlockBytes, bytes_of_block(bytes.size(), i));
    if (Result<void> done = reader.block(i, block); !done) return std::move(done).error();
  }
  return bytes;
}

Result<void> encode_anew(const ObjectStore& store,
                         const Step& step,
                         int threads,
                         Repacked& repacked) {
  Result<ObjectReader> reader = store.open(step.id);
  if (!reader) return std::move(reader).error();
  // As it should be already.
  if (reader->info().parent == step.newer) return {};
  Result<Bytes> bytes = bytes_of(*reader);
  if (!bytes) return std::move(bytes).error();
  const std::uint64_t before = reader->stored_bytes();
  const Content content{
      .id = step.id,
      .bytes = *bytes,
      .layout = step.layout,
      .relatives = step.newer ? std::vector<ObjectId>{*step.newer} : std::vector<ObjectId>{}};
  Result<Stored> stored = store.replace(content, threads, {});
  if (!stored) return std::move(stored).error();
  ++repacked.objects;
  repacked.bytes_before += before;
  repacked.bytes_after += stored->bytes;
  return {};
}

}  // namespace

Result<Repacked> repack(const ObjectStore& store,
                        std::span<const std::vector<Manifest>> files,
                        int threads,
                        const CountProgress& progress) {
  Result<Hold> hold = Hold::alone(store.files(), store.folder());
  if (!hold) return std::move(hold).error();
  std::unordered_set<ObjectId> seen;
  std::vector<Step> steps;
  for (const std::vector<Manifest>& versions : files) add_steps(versions, seen, steps);
  std::erase_if(steps, [&](const Step& step) { return !store.contains(step.id); });
  Repacked repacked;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (progress) progress(i, steps.size());
    if (Result<void> done = encode_anew(store, steps[i], threads, repacked); !done)
      return std::move(done).error();
  }
  return repacked;
}

}  // namespace ration::versions
