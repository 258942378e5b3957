#include "versions/mix.h"

#include <fmt/format.h>

#include <map>

#include "base/hash.h"
#include "base/part_file.h"
#include "checkpoint/safetensors_writer.h"
#include "merge/merge.h"

namespace ration::versions {
namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;
using Kind = Strategy::Kind;

// A folder below the store's `tmp` that goes with the object; one that a killed process left goes
// with the next.
class Workspace {
 public:
  static Result<Workspace> create(const ObjectStore& store) {
    Files& files = store.files();
    const Path parent = store.folder() / "tmp";
    Result<void> done = files.make_folders(parent);
    Path folder = part_beside(files, parent / "merge");
    if (done) done = files.remove_all(folder);
    if (done) done = files.make_folders(folder);
    if (!done) return std::move(done).error();
    return Workspace(files, std::move(folder));
  }
  Workspace(Workspace&& other) noexcept
      : files_(other.files_), folder_(std::exchange(other.folder_, {})) {}
  Workspace& operator=(Workspace&&) = delete;
  ~Workspace() {
    if (folder_.empty()) return;
    const Result<void> ignored = files_->remove_all(folder_);
    (void)ignored;
  }

  Path operator/(std::string_view name) const { return folder_ / name; }

 private:
  Workspace(Files& files, Path folder) : files_(&files), folder_(std::move(folder)) {}

  Files* files_;
  Path folder_;
};

Result<void> append_tensor(const Source& source,
                           const ManifestTensor& tensor,
                           checkpoint::SafetensorsWriter& writer) {
  Result<ReadBlock> read = source.tensor(tensor);
  if (!read) return std::move(read).error();
  std::vector<std::byte> block;
  for (std::uint64_t i = 0; i < block_count(tensor.bytes); ++i) {
    block.resize(bytes_of_block(tensor.bytes, i));
    Result<void> done = (*read)(i, block);
    if (done) done = writer.append(block);
    if (!done) return done;
  }
  return {};
}

// The same tensors of one version as a file.
Result<Checkpoint> unpack(const ObjectStore& store,
                          std::span<const Mix> mixes,
                          ManifestTensor Mix::*side,
                          const Path& path) {
  std::map<std::string_view, const ManifestTensor*> tensors;
  std::vector<TensorInfo> layout;
  for (const Mix& one : mixes) {
    const ManifestTensor& tensor = one.*side;
    tensors.emplace(tensor.name, &tensor);
    layout.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
  }
  auto writer = checkpoint::SafetensorsWriter::create(store.files(), path, std::move(layout), {});
  if (!writer) return std::move(writer).error();
  const Source source(store, {});
  for (const TensorInfo& info : writer->layout())
    if (Result<void> done = append_tensor(source, *tensors.at(info.name), *writer); !done)
      return std::move(done).error();
  if (Result<void> done = writer->finish(); !done) return std::move(done).error();
  return Checkpoint::open(store.files(), path);
}

merge::Recipe recipe_of(const Strategy& strategy) {
  merge::Recipe recipe{.models = {"ours", "theirs"}};
  recipe.lambda = strategy.lambda;
  recipe.k = strategy.k;
  switch (strategy.kind) {
    case Kind::task:
      recipe.method = "task_arithmetic";
      break;
    case Kind::ties:
      recipe.method = "ties";
      break;
    default:
      recipe.method = "linear";
      recipe.weights = {strategy.alpha, 1 - strategy.alpha};
  }
  if (strategy.kind != Kind::average) recipe.base = "base";
  return recipe;
}

class StoreSink final : public merge::Sink {
 public:
  StoreSink(const ObjectStore& store, std::span<const Mix> mixes, int threads)
      : store_(store), threads_(threads) {
    for (const Mix& one : mixes) mixes_.emplace(one.ours.name, &one);
  }

  Result<void> begin(std::span<const TensorInfo>, const checkpoint::Metadata&) override {
    return {};
  }

  Result<void> tensor(const TensorInfo& info, std::span<const std::byte> bytes) override {
    const Mix& one = *mixes_.at(info.name);
    ManifestTensor tensor = one.ours;
    Sha256 hash;
    hash.update(bytes);
    tensor.id = {hash.hex()};
    if (!bytes.empty()) {
      Result<Stored> stored = store_.add({.id = tensor.id,
                                          .bytes = bytes,
                                          .layout = layout_of(info.dtype, info.shape),
                                          .relatives = {one.ours.id, one.theirs.id, one.base.id}},
                                         threads_);
      if (!stored) return std::move(stored).error();
    }
    made_.emplace(info.name, std::move(tensor));
    return {};
  }

  const ManifestTensor& made(const std::string& name) const { return made_.at(name); }

 private:
  const ObjectStore& store_;
  int threads_;
  std::map<std::string, const Mix*> mixes_;
  std::map<std::string, ManifestTensor> made_;
};

}  // namespace

Result<std::vector<ManifestTensor>> mix(const ObjectStore& store,
                                        std::span<const Mix> mixes,
                                        const Strategy& strategy,
                                        int threads) {
  Result<Workspace> work = Workspace::create(store);
  if (!work) return std::move(work).error();
  const merge::Recipe recipe = recipe_of(strategy);
  Result<Checkpoint> ours = unpack(store, mixes, &Mix::ours, *work / "ours.safetensors");
  if (!ours) return std::move(ours).error();
  Result<Checkpoint> theirs = unpack(store, mixes, &Mix::theirs, *work / "theirs.safetensors");
  if (!theirs) return std::move(theirs).error();
  merge::Inputs inputs{.models = {{.name = "ours", .checkpoint = &*ours},
                                  {.name = "theirs", .checkpoint = &*theirs}}};
  std::optional<Checkpoint> base;
  merge::Named named{.name = "base"};
  if (merge::needs_base(recipe)) {
    Result<Checkpoint> opened = unpack(store, mixes, &Mix::base, *work / "base.safetensors");
    if (!opened) return std::move(opened).error();
    named.checkpoint = &base.emplace(std::move(*opened));
    inputs.base = &named;
  }
  StoreSink sink(store, mixes, threads);
  Result<merge::Summary> done =
      merge::merge(recipe, inputs, sink, {.threads = threads, .input_digests = false});
  if (!done) return std::move(done).error();
  std::vector<ManifestTensor> tensors;
  for (const Mix& one : mixes) tensors.push_back(sink.made(one.ours.name));
  return tensors;
}

}  // namespace ration::versions
