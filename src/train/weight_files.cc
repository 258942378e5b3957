#include "train/weight_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/finite.h"
#include "train/checkpoint_folder.h"

namespace ration::train {
namespace {

using checkpoint::DType;

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

std::optional<at::ScalarType> scalar_type(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f32:
      return at::kFloat;
    case DType::f64:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

// The checkpoint that is named by its step, or by the run's result.
Result<CheckpointName> checkpoint_of(Files& files,
                                     const run::RunFolder& folder,
                                     const CheckpointFolder& checkpoints,
                                     const run::Weights& weights) {
  if (weights.step > 0) return checkpoints.find_step(weights.step);
  const Result<std::optional<std::string>> last = folder.result_checkpoint();
  if (!last) return last.error();
  if (*last)
    if (const auto named = checkpoint_name(**last)) return *named;
  const bool finished = files.exists(folder.result_path());
  return data_error(
      finished ? fmt::format("run {} ended without a checkpoint", weights.run)
               : fmt::format("run {} has not finished, so it has no last checkpoint", weights.run),
      finished ? "name one of its earlier ones: run:ID@STEP"
               : "carry it out first, or name one of its checkpoints: run:ID@STEP");
}

Result<WeightFile> weights_of_run(Files& files,
                                  const run::RunFolder& own,
                                  const run::Weights& weights) {
  const run::RunFolder folder(files, own.beside(weights.run));
  if (!files.exists(folder.spec_path()))
    return data_error(fmt::format("run {} is not in this store", weights.run),
                      "carry it out in this store, or give its weights as a file");
  Result<run::RunFile> file = folder.read_spec();
  if (!file) return std::move(file).error();
  const CheckpointFolder checkpoints(files, folder, weights.run);
  Result<CheckpointName> name = checkpoint_of(files, folder, checkpoints, weights);
  if (!name) return std::move(name).error();
  Result<Path> path = checkpoints.weights_path(*name);
  if (!path) return std::move(path).error();
  Result<checkpoint::Checkpoint> tensors = checkpoint::Checkpoint::open(files, *path);
  if (!tensors) return std::move(tensors).error();
  return WeightFile{
      .tensors = std::move(*tensors),
      .from = {{"run", weights.run}, {"attempt", name->attempt}, {"step", name->step}},
      .run = std::move(*file)};
}

Result<WeightFile> weights_of_file(Files& files, const std::string& sha256, const Path& file) {
  if (file.empty())
    return data_error(fmt::format("nothing says where the weights sha256:{} lie", sha256),
                      "name their file: init_file, or file:PATH in a sweep");
  Result<checkpoint::Checkpoint> tensors = checkpoint::Checkpoint::open(files, file);
  if (!tensors) return std::move(tensors).error();
  const std::string digest = tensors->sha256();
  if (digest != sha256)
    return data_error(fmt::format("{} has the digest {}, the run was defined with weights of {}",
                                  file.string(),
                                  digest,
                                  sha256),
                      "bring back the file, or expand the sweep anew");
  return WeightFile{.tensors = std::move(*tensors),
                    .from = {{"sha256", sha256}, {"file", file.string()}},
                    .run = {}};
}

std::string in_words(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

Result<WeightFile> open_weights(Files& files,
                                const run::RunFolder& own,
                                const run::Weights& weights,
                                const Path& file) {
  Result<WeightFile> opened = weights.run.empty() ? weights_of_file(files, weights.sha256, file)
                                                  : weights_of_run(files, own, weights);
  if (opened) return opened;
  Error error = std::move(opened).error();
  if (error.kind == ErrorKind::usage) error.kind = ErrorKind::input;  // of another run's run.json
  return std::move(error).with_context(fmt::format("the weights {}", run::text(weights)));
}

Result<void> check_tensors(std::span<const checkpoint::TensorInfo> tensors,
                           const Parameters& parameters) {
  std::vector<std::string> wrong;
  std::size_t known = 0;
  for (const checkpoint::TensorInfo& info : tensors) {
    if (!parameters.has(info.name)) {
      wrong.push_back(fmt::format("{} is no tensor of the model", info.name));
      continue;
    }
    ++known;
    const std::vector<std::int64_t>& own = parameters.at(info.name).shape.shape;
    const std::vector<std::uint64_t> shape(own.begin(), own.end());
    if (info.shape != shape)
      wrong.push_back(fmt::format(
          "{} has the shape {}, the model's {}", info.name, in_words(info.shape), in_words(shape)));
    if (!scalar_type(info.dtype))
      wrong.push_back(fmt::format("{} is of type {}", info.name, checkpoint::name(info.dtype)));
  }
  if (known < parameters.entries().size())
    for (const Parameters::Entry& entry : parameters.entries())
      if (std::none_of(tensors.begin(), tensors.end(), [&](const checkpoint::TensorInfo& info) {
            return info.name == entry.shape.name;
          }))
        wrong.push_back(fmt::format("{} is missing", entry.shape.name));
  if (wrong.empty()) return {};
  return data_error(fmt::format("these are no weights of this model: {}", fmt::join(wrong, "; ")),
                    "give the run the settings of the model that the weights are of");
}

void copy_tensor(const checkpoint::TensorInfo& info,
                 std::span<const std::byte> bytes,
                 const at::Tensor& to) {
  // Files of other programs place their numbers anywhere; these must lie at a multiple of their
  // size.
  at::Tensor from = at::empty(to.sizes(), scalar_type(info.dtype).value());
  std::memcpy(from.mutable_data_ptr(), bytes.data(), bytes.size());
  to.copy_(from);
}

Result<void> copy_tensors(const checkpoint::Checkpoint& tensors, Parameters& parameters) {
  if (Result<void> fit = check_tensors(tensors.tensors(), parameters); !fit) return fit;
  if (Result<void> finite = checkpoint::check_finite(tensors); !finite) return finite;
  for (const checkpoint::TensorInfo& info : tensors.tensors())
    copy_tensor(info, tensors.bytes(info), parameters.at(info.name).value.detach());
  return {};
}

}  // namespace ration::train
