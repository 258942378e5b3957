#pragma once

// Checkpoints in a store, for tests.

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/unsynced_files.h"
#include "support/temporary_folder.h"
#include "versions/keep.h"
#include "versions/object_store.h"
#include "versions/source.h"

namespace ration::test {

// A tensor of f32 unless said otherwise.
struct Numbers {
  std::vector<std::uint64_t> shape;
  std::vector<float> values;
};

template <class Item>
checkpoint::TensorView view(const std::string& name,
                            checkpoint::DType dtype,
                            std::vector<std::uint64_t> shape,
                            const std::vector<Item>& values) {
  return {name, dtype, std::move(shape), std::as_bytes(std::span(values))};
}

class Versions {
 public:
  const versions::ObjectStore& store() const { return store_; }
  const TemporaryFolder& folder() const { return folder_; }

  Path write(const std::vector<checkpoint::TensorView>& tensors,
             const checkpoint::Metadata& metadata = {}) {
    const Path path = folder_ / ("file-" + std::to_string(count_++));
    const Result<void> done = write_safetensors(unsynced_files(), path, tensors, metadata);
    if (!done) throw std::runtime_error(done.error().describe());
    return path;
  }

  Path write(const std::map<std::string, Numbers>& tensors,
             const checkpoint::Metadata& metadata = {}) {
    std::vector<checkpoint::TensorView> views;
    for (const auto& [name, numbers] : tensors)
      views.push_back(view(name, checkpoint::DType::f32, numbers.shape, numbers.values));
    return write(views, metadata);
  }

  versions::Manifest keep(const Path& path) {
    Result<versions::Kept> kept = versions::keep(store_, path, {.threads = 1});
    if (!kept) throw std::runtime_error(kept.error().describe());
    return kept->manifest;
  }
  versions::Manifest keep(const std::map<std::string, Numbers>& tensors,
                          const checkpoint::Metadata& metadata = {}) {
    return keep(write(tensors, metadata));
  }

  // The bytes of a stored tensor.
  template <class Item = float>
  std::vector<Item> values(const versions::Manifest& manifest, const std::string& name) const {
    const versions::ManifestTensor* tensor = manifest.find(name);
    if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
    std::vector<Item> items(tensor->bytes / sizeof(Item));
    const versions::Source source(store_, manifest);
    Result<versions::ReadBlock> read = source.tensor(*tensor);
    if (!read) throw std::runtime_error(read.error().describe());
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(items));
    for (std::uint64_t i = 0; i < versions::block_count(bytes.size()); ++i) {
      const Result<void> done = (*read)(
          i, bytes.subspan(i * versions::kBlockBytes, versions::bytes_of_block(bytes.size(), i)));
      if (!done) throw std::runtime_error(done.error().describe());
    }
    return items;
  }

 private:
  TemporaryFolder folder_;
  versions::ObjectStore store_{unsynced_files(), folder_ / "ration"};
  int count_ = 0;
};

}  // namespace ration::test
