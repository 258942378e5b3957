#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

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

// The digest that meta.json carries of all its other members.
Result<std::string> digest_of_meta(Json meta) {
  meta.erase("meta_sha256");
  Result<std::string> text = canonical_json(meta);
  if (!text) return std::move(text).error();
  return sha256_hex(*text);
}

// meta.json of a checkpoint, after checking that it is whole and belongs to this run and step.
Result<Json> read_meta(Files& files,
                       const Path& path,
                       const std::string& run_id,
                       std::int64_t step) {
  Result<std::string> text = files.read(path / "meta.json");
  if (!text) return std::move(text).error();
  Result<Json> meta = parse_json(*text, (path / "meta.json").string());
  if (!meta) return std::move(meta).error();
  const Json stored = meta->is_object() ? meta->value("meta_sha256", Json()) : Json();
  Result<std::string> digest = digest_of_meta(stored.is_null() ? Json::object() : *meta);
  if (!digest) return std::move(digest).error();
  if (stored != *digest) return broken(path, "meta.json does not have its own digest");
  if (meta->value("schema", "") != kSchema || meta->value("run", "") != run_id ||
      meta->value("step", std::int64_t{-1}) != step)
    return broken(path, "meta.json belongs to another run or step");
  return meta;
}

// A file of a checkpoint, and the member of meta.json that holds its digest.
struct PartOfCheckpoint {
  const char* file;
  const char* digest;
};
constexpr PartOfCheckpoint kModel = {"model.safetensors", "model_sha256"};
constexpr PartOfCheckpoint kState = {"state.safetensors", "state_sha256"};

Result<void> check_digest(Files& files,
                          const Path& checkpoint,
                          const PartOfCheckpoint& part,
                          const Json& meta) {
  Result<std::string> digest = digest_of(files, checkpoint / part.file);
  if (!digest) return std::move(digest).error();
  if (*digest == meta.value(part.digest, "")) return {};
  return broken(checkpoint, fmt::format("{} does not have the digest of meta.json", part.file));
}

// A file that holds exactly these tensors.
Result<checkpoint::TensorFile> open_for(Files& files,
                                        const Path& path,
                                        const std::vector<NamedTensor>& tensors) {
  Result<checkpoint::TensorFile> file = checkpoint::TensorFile::open(files, path);
  if (!file) return file;
  if (file->tensors().size() != tensors.size())
    return broken(path, "holds other tensors than this run has");
  for (const NamedTensor& t : tensors) {
    const checkpoint::TensorInfo* info = file->find(t.name);
    const std::vector<std::uint64_t> shape(t.tensor.sizes().begin(), t.tensor.sizes().end());
    if (info == nullptr || info->shape != shape || info->dtype != stored_type(t.tensor))
      return broken(path, fmt::format("tensor {} is missing or of another shape", t.name));
  }
  return file;
}

void copy_out(const checkpoint::TensorFile& file, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& t : tensors) {
    const std::span<const std::byte> bytes = file.bytes(*file.find(t.name));
    std::memcpy(t.tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  }
}

// The number behind a prefix; nothing where the text is anything else.
std::optional<std::int64_t> number_behind(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  std::int64_t number = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string CheckpointName::text() const {
  return fmt::format("attempt-{}/{}{}", attempt, kPrefix, step);
}

std::optional<CheckpointName> checkpoint_name(const Path& path) {
  const auto attempt = number_behind("attempt-", path.parent_path().filename().string());
  const auto step = number_behind(kPrefix, path.filename().string());
  if (!attempt || !step) return std::nullopt;
  return CheckpointName{.attempt = static_cast<int>(*attempt), .step = *step};
}

Path CheckpointFolder::path_of(int attempt, std::int64_t step) const {
  return folder_.attempt_path(attempt) / fmt::format("{}{}", kPrefix, step);
}

Result<std::vector<std::int64_t>> CheckpointFolder::steps_of(int attempt) const {
  Result<std::vector<std::string>> names = files_->list(folder_.attempt_path(attempt));
  if (!names) return std::move(names).error();
  std::vector<std::int64_t> steps;
  for (const std::string& name : *names) {
    // A .tmp is not a checkpoint.
    if (const auto step = number_behind(kPrefix, name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<Path> CheckpointFolder::save(int attempt,
                                    std::int64_t step,
                                    Parameters& parameters,
                                    AdamW& optimiser,
                                    const Json& progress,
                                    const Keep& keep) {
  const Path final_path = path_of(attempt, step);
  if (files_->exists(final_path)) return final_path;
  const Path temporary = Path(final_path) += ".tmp";
  if (Result<void> done = files_->remove_all(temporary); !done) return std::move(done).error();
  if (Result<void> done = files_->make_folders(temporary); !done) return std::move(done).error();
  Json meta = {{"schema", kSchema}, {"run", run_id_}, {"step", step}, {"progress", progress}};
  const auto write = [&](const PartOfCheckpoint& part,
                         const std::vector<NamedTensor>& tensors) -> Result<void> {
    const checkpoint::Metadata about = {{"run", run_id_}, {"step", std::to_string(step)}};
    const Path path = temporary / part.file;
    if (Result<void> done = write_safetensors(*files_, path, views(tensors), about); !done)
      return done;
    Result<std::string> digest = digest_of(*files_, path);
    if (!digest) return std::move(digest).error();
    meta[part.digest] = *digest;
    return {};
  };
  if (Result<void> done = write(kModel, weights(parameters)); !done) return std::move(done).error();
  fault_point("checkpoint-half-written");
  if (Result<void> done = write(kState, moments(parameters, optimiser)); !done)
    return std::move(done).error();
  Result<std::string> digest = digest_of_meta(meta);
  if (!digest) return std::move(digest).error();
  meta["meta_sha256"] = *digest;
  Result<std::string> text = canonical_json(meta);
  if (!text) return std::move(text).error();
  if (Result<void> done = files_->write_whole(temporary / "meta.json", *text + "\n"); !done)
    return std::move(done).error();
  if (Result<void> done = files_->rename(temporary, final_path); !done)
    return std::move(done).error();
  fault_point("checkpoint-published");

  Result<std::vector<std::int64_t>> steps = steps_of(attempt);
  if (!steps) return std::move(steps).error();
  std::size_t newer = 0, newer_multiples = 0;
  for (auto old = steps->rbegin(); old != steps->rend(); ++old) {
    const bool multiple = keep.multiple > 0 && *old % keep.multiple == 0;
    const bool named = std::find(keep.steps.begin(), keep.steps.end(), *old) != keep.steps.end();
    const bool kept = newer++ < kKept || (multiple && newer_multiples < kKept) || named;
    newer_multiples += multiple ? 1 : 0;
    if (kept) continue;
    if (Result<void> done = files_->remove_all(path_of(attempt, *old)); !done)
      return std::move(done).error();
  }
  return final_path;
}

// Without an optimiser, the weights alone.
Result<Json> CheckpointFolder::load(int attempt,
                                    std::int64_t step,
                                    Parameters& parameters,
                                    AdamW* optimiser) const {
  const Path path = path_of(attempt, step);
  const Result<Json> meta = read_meta(*files_, path, run_id_, step);
  if (!meta) return meta;
  std::vector<std::pair<checkpoint::TensorFile, std::vector<NamedTensor>>> found;
  const auto open = [&](const PartOfCheckpoint& part,
                        std::vector<NamedTensor> tensors) -> Result<void> {
    if (Result<void> whole = check_digest(*files_, path, part, *meta); !whole) return whole;
    Result<checkpoint::TensorFile> opened = open_for(*files_, path / part.file, tensors);
    if (!opened) return std::move(opened).error();
    found.emplace_back(*std::move(opened), std::move(tensors));
    return {};
  };
  if (Result<void> done = open(kModel, weights(parameters)); !done) return std::move(done).error();
  if (optimiser != nullptr)
    if (Result<void> done = open(kState, moments(parameters, *optimiser)); !done)
      return std::move(done).error();
  // Nothing is changed before everything is known to fit.
  for (const auto& [file, tensors] : found) copy_out(file, tensors);
  return meta->at("progress");
}

Result<std::optional<FoundCheckpoint>> CheckpointFolder::load_newest(
    int attempt, Parameters& parameters, AdamW& optimiser, std::vector<std::string>& broken_ones) {
  return newest(attempt, parameters, &optimiser, broken_ones);
}

Result<std::optional<FoundCheckpoint>> CheckpointFolder::load_newest_weights(
    Parameters& parameters, std::vector<std::string>& broken_ones) const {
  return newest(std::numeric_limits<int>::max(), parameters, nullptr, broken_ones);
}

Result<FoundCheckpoint> CheckpointFolder::load_weights(int attempt,
                                                       std::int64_t step,
                                                       Parameters& parameters) const {
  Result<Json> progress = load(attempt, step, parameters, nullptr);
  if (!progress) return std::move(progress).error();
  return FoundCheckpoint{.attempt = attempt, .step = step, .progress = std::move(*progress)};
}

Result<std::optional<FoundCheckpoint>> CheckpointFolder::newest(
    int attempt,
    Parameters& parameters,
    AdamW* optimiser,
    std::vector<std::string>& broken_ones) const {
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

Result<FoundCheckpoint> CheckpointFolder::load_step(int attempt,
                                                    std::int64_t step,
                                                    Parameters& parameters,
                                                    AdamW& optimiser) {
  Result<std::vector<int>> attempts = folder_.attempts();
  if (!attempts) return std::move(attempts).error();
  std::optional<Error> last;
  for (auto number = attempts->rbegin(); number != attempts->rend(); ++number) {
    if (*number > attempt || !files_->exists(path_of(*number, step))) continue;
    Result<Json> progress = load(*number, step, parameters, &optimiser);
    if (progress)
      return FoundCheckpoint{.attempt = *number, .step = step, .progress = std::move(*progress)};
    last = std::move(progress).error();
  }
  if (last) return *std::move(last);
  const int newest = attempts->empty() ? 1 : std::min(attempt, attempts->back());
  return broken(path_of(newest, step), "is missing, and so is that of every earlier attempt");
}

Result<Path> CheckpointFolder::weights_path(const CheckpointName& name) const {
  const Path path = path_of(name.attempt, name.step);
  const Result<Json> meta = read_meta(*files_, path, run_id_, name.step);
  if (!meta) return meta.error();
  if (Result<void> whole = check_digest(*files_, path, kModel, *meta); !whole)
    return std::move(whole).error();
  return path / kModel.file;
}

Result<CheckpointName> CheckpointFolder::find_step(std::int64_t step) const {
  Result<std::vector<int>> attempts = folder_.attempts();
  if (!attempts) return std::move(attempts).error();
  std::optional<Error> last;
  for (auto number = attempts->rbegin(); number != attempts->rend(); ++number) {
    if (!files_->exists(path_of(*number, step))) continue;
    const CheckpointName name{.attempt = *number, .step = step};
    Result<Path> whole = weights_path(name);
    if (whole) return name;
    last = std::move(whole).error();
  }
  if (last) return *std::move(last);
  return broken(path_of(attempts->empty() ? 1 : attempts->back(), step),
                "is missing, and so is that of every earlier attempt");
}

Result<void> CheckpointFolder::forget_after(int attempt, std::int64_t step) {
  Result<std::vector<std::int64_t>> steps = steps_of(attempt);
  if (!steps) return std::move(steps).error();
  for (const std::int64_t later : *steps)
    if (later > step)
      if (Result<void> done = files_->remove_all(path_of(attempt, later)); !done) return done;
  return {};
}

}  // namespace ration::train
