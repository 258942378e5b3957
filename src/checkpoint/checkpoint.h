#pragma once

// The tensors of a model, however its files are cut: one safetensors file, an index
// (*.safetensors.index.json, as Hugging Face writes it) with the shards beside it, or a folder that
// holds model.safetensors or model.safetensors.index.json. Memory-mapped: opening costs the
// headers alone.
//
//   Result<Checkpoint> model = Checkpoint::open(files, "model");
//   std::span<const std::byte> bytes = model->bytes(*model->find("wte"));

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "checkpoint/safetensors.h"

namespace ration::checkpoint {

class Checkpoint {
 public:
  // ErrorKind::input for what TensorFile refuses, an index without its weight_map, shard names that
  // leave the index's folder, a shard that is missing or lacks a tensor promised to it, a tensor of
  // a shard that the index does not name, a name that stands twice in the index, and a folder with
  // neither file or both.
  static Result<Checkpoint> open(Files& files, const Path& path);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // byte-wise order of name
  const TensorInfo* find(std::string_view name) const;                 // nullptr when there is none
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  const Metadata& metadata() const { return metadata_; }  // of the file, or of the first shard
  const Path& path() const { return path_; }              // as given to open
  std::vector<Path> files() const;                        // that hold the tensors

  // Lets the pages of bytes [begin, end) of a tensor leave memory; they are read again when
  // touched.
  void release(const TensorInfo& tensor, std::uint64_t begin, std::uint64_t end) const;

  // Of the file that holds a tensor, and of all files: see TensorFile::whole.
  bool whole(const TensorInfo& tensor) const;
  Result<void> check_whole() const;

  // The digest of the file, as sha256sum prints it; of shards, that of a line "HEX  NAME\n" a
  // shard in byte-wise order of name. Reads everything. Several threads may ask at once.
  // Of a file that is whole no more it is nothing to rely on: check_whole() tells.
  std::string sha256() const;
  // Those of several checkpoints, two at a time on each of `threads` threads (0 = all).
  static std::vector<std::string> sha256_of(std::span<const Checkpoint* const> checkpoints,
                                            int threads);

 private:
  struct Shard {
    std::string name;
    TensorFile file;
  };
  static Result<Checkpoint> open_file(Files& files, const Path& path);
  static Result<Checkpoint> open_index(Files& files, const Path& path);
  std::size_t position(const TensorInfo& tensor) const;

  Path path_;
  Path folder_;                                       // of the shards
  std::vector<std::shared_ptr<const Shard>> shards_;  // byte-wise order of name
  std::vector<TensorInfo> tensors_;
  std::vector<std::size_t> shard_of_;  // beside tensors_
  Metadata metadata_;
};

}  // namespace ration::checkpoint
