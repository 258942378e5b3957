#pragma once

// Small models for tests of merging: written as files, opened, merged into memory.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "merge/merge.h"
#include "support/temporary_folder.h"

namespace ration::test {

// A tensor of a model that a test spells out; numbers are rounded to the dtype.
struct GivenTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::vector<double> numbers;
  checkpoint::DType dtype = checkpoint::DType::f32;
};

// What a merge gave: each tensor's bytes, and its numbers where it holds floats.
class MemorySink final : public merge::Sink {
 public:
  Result<void> begin(std::span<const checkpoint::TensorInfo> layout,
                     const checkpoint::Metadata& given) override;
  Result<void> tensor(const checkpoint::TensorInfo& info,
                      std::span<const std::byte> given) override;

  std::vector<double> numbers(const std::string& name) const;
  std::vector<double> all_numbers() const;  // of all tensors, in their order

  std::vector<checkpoint::TensorInfo> infos;
  checkpoint::Metadata metadata;
  std::map<std::string, std::vector<std::byte>> bytes;
};

// Files of one test, and the models opened from them.
class Models {
 public:
  // Writes and opens a model. References stay valid.
  const merge::Named& add(const std::string& name,
                          const std::vector<GivenTensor>& tensors,
                          const checkpoint::Metadata& metadata = {});
  void set_statistics(const std::string& name,
                      const std::vector<GivenTensor>& tensors,
                      const checkpoint::Metadata& metadata = {});
  Path path(const std::string& name) const { return folder_ / name; }

  // The recipe's base and models, by their names.
  merge::Inputs inputs(const merge::Recipe& recipe) const;
  Result<MemorySink> merge(const merge::Recipe& recipe, const merge::Options& options = {}) const;
  // The same, where it must succeed.
  MemorySink merged(const merge::Recipe& recipe, const merge::Options& options = {}) const;

  const TemporaryFolder& folder() const { return folder_; }

 private:
  const checkpoint::Checkpoint* write(const std::string& file,
                                      const std::vector<GivenTensor>& tensors,
                                      const checkpoint::Metadata& metadata);

  TemporaryFolder folder_;
  std::deque<checkpoint::Checkpoint> checkpoints_;
  std::map<std::string, merge::Named> named_;
};

// One tensor "w".
std::vector<GivenTensor> vector_model(std::vector<double> numbers,
                                      checkpoint::DType dtype = checkpoint::DType::f32);

merge::Recipe recipe_of(const std::string& method,
                        std::vector<std::string> models,
                        const std::string& base = "");

}  // namespace ration::test
