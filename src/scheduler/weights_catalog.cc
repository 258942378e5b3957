#include "scheduler/weights_catalog.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "checkpoint/safetensors.h"
#include "run/points.h"

namespace ration::scheduler {

WeightsCatalog::WeightsCatalog(Files& files, const Path& base)
    : files_(files), base_(std::filesystem::absolute(base.empty() ? "." : base)) {}

const Result<WeightsCatalog::Entry>& WeightsCatalog::weights(const std::string& path) {
  const auto found = weights_.find(path);
  if (found != weights_.end()) return found->second;
  return weights_.emplace(path, read_weights((base_ / path).lexically_normal())).first->second;
}

const Result<WeightsCatalog::Entry>& WeightsCatalog::points(const std::string& path) {
  const auto found = points_.find(path);
  if (found != points_.end()) return found->second;
  return points_.emplace(path, read_points((base_ / path).lexically_normal())).first->second;
}

Result<WeightsCatalog::Entry> WeightsCatalog::read_weights(Path path) const {
  if (!files_.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no {}", path.string()),
                 .hint =
                     "name a safetensors file, or a checkpoint's folder; a relative path starts "
                     "at the folder of the sweep file"};
  if (files_.exists(path / "model.safetensors")) path /= "model.safetensors";
  const Result<checkpoint::TensorFile> tensors = checkpoint::TensorFile::open(files_, path);
  if (!tensors) {
    Error error = tensors.error();
    error.hint = "name a safetensors file, or a folder that holds model.safetensors";
    return error;
  }
  const Result<std::unique_ptr<MappedFile>> mapped = files_.map(path);
  if (!mapped) return mapped.error();
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return Entry{.setting = "sha256:" + sha256_hex(text), .file = path.string(), .needs = {}};
}

Result<WeightsCatalog::Entry> WeightsCatalog::read_points(const Path& path) const {
  if (!files_.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no {}", path.string()),
                 .hint =
                     "name a list of points (docs/formats.md); a relative path starts at the "
                     "folder of the sweep file"};
  const Result<std::string> text = files_.read(path);
  if (!text) return text.error();
  const Result<run::PointList> list = run::parse_points(*text, path.string());
  if (!list) return list.error();
  return Entry{.setting = "sha256:" + sha256_hex(*text),
               .file = path.string(),
               .needs = run::runs_needed(*list)};
}

}  // namespace ration::scheduler
