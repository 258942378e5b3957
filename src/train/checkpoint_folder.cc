#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/fault.h"
#include "base/hash.h"
#include "checkpoint/safetensors.h"

namespace ration::train {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSchema = "ration.checkpoint/1";
constexpr std::size_t kKept = 2;

// A tensor to be stored, and where a stored one is copied to.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

std::vector<NamedTensor> weights(Parameters& parameters) {
  std::vector<NamedTensor> tensors;
  for (const Parameters::Entry& entry : parameters.entries())
    tensors.push_back({entry.shape.name, entry.value.detach()});
  return tensors;
}

// The part of a flat moment that belongs to a parameter.
at::Tensor part(const Parameters& parameters,
                const at::Tensor& flat,
                const Parameters::Entry& entry) {
  const std::int64_t offset = entry.value.storage_offset() - parameters.values().storage_offset();
  return flat.narrow(0, offset, entry.value.numel()).view(entry.shape.shape);
}

std::vector<NamedTensor> moments(Parameters& parameters, AdamW& optimiser) {
  std::vector<NamedTensor> tensors;
  for (const Parameters::Entry& entry : parameters.entries()) {
    tensors.push_back(
        {"adam.m/" + entry.shape.name, part(parameters, optimiser.first_moment(), entry)});
    tensors.push_back(
        {"adam.v/" + entry.shape.name, part(parameters, optimiser.second_moment(), entry)});
  }
  return tensors;
}

checkpoint::DType stored_type(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? checkpoint::DType::f64 : checkpoint::DType::f32;
}

std::vector<checkpoint::TensorView> views(const std::vector<NamedTensor>& tensors) {
  std::vector<checkpoint::TensorView> result;
  for (const NamedTensor& t : tensors) {
    const auto* bytes = static_cast<const std::byte*>(t.tensor.const_data_ptr());
    std::vector<std::uint64_t> shape(t.tensor.sizes().begin(), t.tensor.sizes().end());
    result.push_back({t.name, stored_type(t.tensor), std::move(shape), {bytes, t.tensor.nbytes()}});
  }
  return result;
}

Error broken(const Path& path, std::string_view why) {
  return {.kind = ErrorKind::input, .what = fmt::format("checkpoint {}: {}", path.string(), why)};
}

Result<std::string> digest_of(Files& files, const Path& path) {
  Result<std::unique_ptr<MappedFile>> file = files.map(path);
  if (!file) return std::move(file).error();
  Sha256 hash;
  hash.update((*file)->bytes());
  return hash.hex();
}

// Copies every tensor out of the file; nothing is copied unless all fit.
Result<void> read_into(Files& files, const Path& path, const std::vector<NamedTensor>& tensors) {
  Result<checkpoint::TensorFile> file = checkpoint::TensorFile::open(files, path);
  if (!file) return std::move(file).error();
  if (file->tensors().size() != tensors.size())
    return broken(path, "holds other tensors than this run has");
  for (const NamedTensor& t : tensors) {
    const checkpoint::TensorInfo* info = file->find(t.name);
    const std::vector<std::uint64_t> shape(t.tensor.sizes().begin(), t.tensor.sizes().end());
    if (info == nullptr || info->shape != shape || info->dtype != stored_type(t.tensor))
      return broken(path, fmt::format("tensor {} is missing or of another shape", t.name));
  }
  for (const NamedTensor& t : tensors) {
    const std::span<const std::byte> bytes = file->bytes(*file->find(t.name));
    std::memcpy(t.tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  }
  return {};
}

}  // namespace

Path CheckpointFolder::path_of(int attempt, std::int64_t step) const {
  return folder_.attempt_path(attempt) / fmt::format("{}{}", kPrefix, step);
}

Result<std::vector<std::int64_t>> CheckpointFolder::steps_of(int attempt) const {
  Result<std::vector<std::string>> names = files_->list(folder_.attempt_path(attempt));
  if (!names) return std::move(names).error();
  std::vector<std::int64_t> steps;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix)) continue;
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    const auto [stop, code] = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (code == std::errc() && stop == end) steps.push_back(step);  // a .tmp is not a checkpoint
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<Path> CheckpointFolder::save(int attempt,
                                    std::int64_t step,
                                    Parameters& parameters,
                                    AdamW& optimiser,
                                    const Json& progress) {
  const Path final_path = path_of(attempt, step);
  if (files_->exists(final_path)) return final_path;
  const Path temporary = Path(final_path) += ".tmp";
  if (Result<void> done = files_->remove_all(temporary); !done) return std::move(done).error();
  if (Result<void> done = files_->make_folders(temporary); !done) return std::move(done).error();
  Json meta = {{"schema", kSchema}, {"run", run_id_}, {"step", step}, {"progress", progress}};
  const auto write = [&](const char* file,
                         const char* key,
                         const std::vector<NamedTensor>& tensors) -> Result<void> {
    const checkpoint::Metadata about = {{"run", run_id_}, {"step", std::to_string(step)}};
    if (Result<void> done = write_safetensors(*files_, temporary / file, views(tensors), about);
        !done)
      return done;
    Result<std::string> digest = digest_of(*files_, temporary / file);
    if (!digest) return std::move(digest).error();
    meta[key] = *digest;
    return {};
  };
  if (Result<void> done = write("model.safetensors", "model_sha256", weights(parameters)); !done)
    return std::move(done).error();
  fault_point("checkpoint-half-written");
  if (Result<void> done =
          write("state.safetensors", "state_sha256", moments(parameters, optimiser));
      !done)
    return std::move(done).error();
  Result<std::string> text = canonical_json(meta);
  if (!text) return std::move(text).error();
  if (Result<void> done = files_->write_whole(temporary / "meta.json", *text + "\n"); !done)
    return std::move(done).error();
  if (Result<void> done = files_->rename(temporary, final_path); !done)
    return std::move(done).error();
  fault_point("checkpoint-published");

  Result<std::vector<std::int64_t>> steps = steps_of(attempt);
  if (!steps) return std::move(steps).error();
  for (std::size_t i = 0; i + kKept < steps->size(); ++i)
    if (Result<void> done = files_->remove_all(path_of(attempt, (*steps)[i])); !done)
      return std::move(done).error();
  return final_path;
}

Result<Json> CheckpointFolder::load(int attempt,
                                    std::int64_t step,
                                    Parameters& parameters,
                                    AdamW& optimiser) const {
  const Path path = path_of(attempt, step);
  Result<std::string> text = files_->read(path / "meta.json");
  if (!text) return std::move(text).error();
  Result<Json> meta = parse_json(*text, (path / "meta.json").string());
  if (!meta) return std::move(meta).error();
  if (!meta->is_object() || meta->value("schema", "") != kSchema ||
      meta->value("run", "") != run_id_ || meta->value("step", std::int64_t{-1}) != step)
    return broken(path, "meta.json belongs to another run or step");
  const std::pair<const char*, const char*> files[] = {{"model.safetensors", "model_sha256"},
                                                       {"state.safetensors", "state_sha256"}};
  for (const auto& [file, key] : files) {
    Result<std::string> digest = digest_of(*files_, path / file);
    if (!digest) return std::move(digest).error();
    if (*digest != meta->value(key, ""))
      return broken(path, fmt::format("{} does not have the digest of meta.json", file));
  }
  if (Result<void> done = read_into(*files_, path / "model.safetensors", weights(parameters));
      !done)
    return std::move(done).error();
  if (Result<void> done =
          read_into(*files_, path / "state.safetensors", moments(parameters, optimiser));
      !done)
    return std::move(done).error();
  return (*meta)["progress"];
}

Result<std::optional<FoundCheckpoint>> CheckpointFolder::load_newest(
    int attempt, Parameters& parameters, AdamW& optimiser, std::vector<std::string>& broken_ones) {
  Result<std::vector<int>> attempts = folder_.attempts();
  if (!attempts) return std::move(attempts).error();
  std::vector<std::pair<std::int64_t, int>> candidates;  // step, attempt
  for (const int number : *attempts) {
    if (number > attempt) continue;
    Result<std::vector<std::int64_t>> steps = steps_of(number);
    if (!steps) return std::move(steps).error();
    for (const std::int64_t step : *steps) candidates.emplace_back(step, number);
  }
  std::sort(candidates.rbegin(), candidates.rend());
  for (const auto& [step, number] : candidates) {
    Result<Json> progress = load(number, step, parameters, optimiser);
    if (progress)
      return std::optional(
          FoundCheckpoint{.attempt = number, .step = step, .progress = std::move(*progress)});
    broken_ones.push_back(progress.error().what);
  }
  return std::optional<FoundCheckpoint>();
}

}  // namespace ration::train
