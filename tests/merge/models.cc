#include "merge/models.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/unsynced_files.h"
#include "checkpoint/safetensors.h"
#include "merge/layout.h"
#include "merge/numbers.h"

namespace ration::test {

Result<void> MemorySink::begin(std::span<const checkpoint::TensorInfo> layout,
                               const checkpoint::Metadata& given) {
  infos.assign(layout.begin(), layout.end());
  metadata = given;
  return {};
}

Result<void> MemorySink::tensor(const checkpoint::TensorInfo& info,
                                std::span<const std::byte> given) {
  bytes[info.name].assign(given.begin(), given.end());
  return {};
}

std::vector<double> MemorySink::numbers(const std::string& name) const {
  for (const checkpoint::TensorInfo& info : infos) {
    if (info.name != name) continue;
    std::vector<double> numbers(merge::elements(info.shape));
    merge::widen(info.dtype, bytes.at(name).data(), 0, numbers);
    return numbers;
  }
  throw std::runtime_error("no tensor " + name);
}

std::vector<double> MemorySink::all_numbers() const {
  std::vector<double> all;
  for (const checkpoint::TensorInfo& info : infos) {
    const std::vector<double> some = numbers(info.name);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

const checkpoint::Checkpoint* Models::write(const std::string& file,
                                            const std::vector<GivenTensor>& tensors,
                                            const checkpoint::Metadata& metadata) {
  std::vector<std::vector<std::byte>> stored;
  std::vector<checkpoint::TensorView> views;
  for (const GivenTensor& tensor : tensors) {
    stored.emplace_back(tensor.numbers.size() * item_bytes(tensor.dtype));
    if (merge::is_float(tensor.dtype))
      merge::narrow(tensor.dtype, tensor.numbers, 0, stored.back().data());
    else  // small whole numbers of one byte
      for (std::size_t i = 0; i < tensor.numbers.size(); ++i)
        stored.back()[i] = static_cast<std::byte>(tensor.numbers[i]);
  }
  for (std::size_t i = 0; i < tensors.size(); ++i)
    views.push_back({tensors[i].name, tensors[i].dtype, tensors[i].shape, stored[i]});
  const Path path = folder_ / file;
  if (Result<void> done = checkpoint::write_safetensors(unsynced_files(), path, views, metadata);
      !done)
    throw std::runtime_error(done.error().describe());
  Result<checkpoint::Checkpoint> opened = checkpoint::Checkpoint::open(real_files(), path);
  if (!opened) throw std::runtime_error(opened.error().describe());
  checkpoints_.push_back(std::move(*opened));
  return &checkpoints_.back();
}

const merge::Named& Models::add(const std::string& name,
                                const std::vector<GivenTensor>& tensors,
                                const checkpoint::Metadata& metadata) {
  return named_[name] = {name, write(name, tensors, metadata), nullptr};
}

void Models::set_statistics(const std::string& name,
                            const std::vector<GivenTensor>& tensors,
                            const checkpoint::Metadata& metadata) {
  named_.at(name).statistics = write(name + ".statistics", tensors, metadata);
}

merge::Inputs Models::inputs(const merge::Recipe& recipe) const {
  merge::Inputs inputs;
  if (!recipe.base.empty()) inputs.base = &named_.at(recipe.base);
  for (const std::string& model : recipe.models) inputs.models.push_back(named_.at(model));
  return inputs;
}

Result<MemorySink> Models::merge(const merge::Recipe& recipe, const merge::Options& options) const {
  MemorySink sink;
  Result<merge::Summary> done = merge::merge(recipe, inputs(recipe), sink, options);
  if (!done) return std::move(done).error();
  return sink;
}

MemorySink Models::merged(const merge::Recipe& recipe, const merge::Options& options) const {
  Result<MemorySink> sink = merge(recipe, options);
  if (!sink) throw std::runtime_error(sink.error().describe());
  return std::move(*sink);
}

std::vector<GivenTensor> vector_model(std::vector<double> numbers, checkpoint::DType dtype) {
  const std::uint64_t count = numbers.size();
  return {{"w", {count}, std::move(numbers), dtype}};
}

merge::Recipe recipe_of(const std::string& method,
                        std::vector<std::string> models,
                        const std::string& base) {
  merge::Recipe recipe;
  recipe.method = method;
  recipe.models = std::move(models);
  recipe.base = base;
  return recipe;
}

}  // namespace ration::test
