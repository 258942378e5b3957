#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/json.h"
#include "base/text.h"
#include "checkpoint/json_checker.h"

namespace ration::checkpoint {
namespace {

constexpr std::string_view kFile = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::string_view kIndexEnding = ".index.json";

Error refused(const Path& path, std::string why) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{} is not a usable checkpoint: {}", path.string(), why),
          .hint = "the files are damaged, incomplete or of another format; obtain them again"};
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// Tensor -> shard, as the index says.
Result<std::map<std::string, std::string>> read_weight_map(Files& files, const Path& path) {
  // Mapping refuses pipes, where reading would wait for a writer.
  const Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
  if (!mapped) return mapped.error();
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Result<Json> json = parse_json(text, path.string());
  if (!json) return std::move(json).error();
  if (std::string why = problem_of_json(text, "the index"); !why.empty())
    return refused(path, std::move(why));
  if (!json->is_object() || !json->contains("weight_map") || !(*json)["weight_map"].is_object())
    return refused(path, "it has no weight_map");
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : (*json)["weight_map"].items()) {
    if (!shard.is_string() || !is_plain_name(shard.get<std::string>()))
      return refused(path,
                     fmt::format("tensor \"{}\" lies in {}, which is no name of a file beside it",
                                 tensor,
                                 shard.dump()));
    shard_of[tensor] = shard.get<std::string>();
  }
  if (shard_of.empty()) return refused(path, "its weight_map is empty");
  return shard_of;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(Files& files, const Path& path) {
  Path file = path;
  if (std::error_code code; std::filesystem::is_directory(path, code)) {
    file = path / kFile;
    if (files.exists(file) && files.exists(path / kIndex))
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{} holds both {} and {}", path.string(), kFile, kIndex),
                   .hint = "name the one that is meant"};
    if (!files.exists(file)) file = path / kIndex;
    if (!files.exists(file))
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{} holds neither {} nor {}", path.string(), kFile, kIndex),
                   .hint = "name the safetensors file, or the folder of a checkpoint"};
  }
  Result<Checkpoint> checkpoint = file.filename().string().ends_with(kIndexEnding)
                                      ? open_index(files, file)
                                      : open_file(files, file);
  if (checkpoint) checkpoint->path_ = path, checkpoint->folder_ = file.parent_path();
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_file(Files& files, const Path& path) {
  Result<TensorFile> file = TensorFile::open(files, path);
  if (!file) return std::move(file).error();
  Checkpoint checkpoint;
  checkpoint.tensors_ = file->tensors();
  checkpoint.metadata_ = file->metadata();
  std::sort(checkpoint.tensors_.begin(),
            checkpoint.tensors_.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  checkpoint.shard_of_.assign(checkpoint.tensors_.size(), 0);
  checkpoint.shards_.push_back(
      std::make_shared<const Shard>(Shard{path.filename().string(), std::move(*file)}));
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_index(Files& files, const Path& path) {
  Result<std::map<std::string, std::string>> shard_of = read_weight_map(files, path);
  if (!shard_of) return std::move(shard_of).error();
  std::map<std::string, std::size_t> number;
  for (const auto& [tensor, shard] : *shard_of) number[shard] = 0;
  Checkpoint checkpoint;
  std::size_t in_shards = 0;
  for (auto& [shard, position] : number) {
    Result<TensorFile> file = TensorFile::open(files, path.parent_path() / shard);
    if (!file) return std::move(file).error();
    position = checkpoint.shards_.size();
    in_shards += file->tensors().size();
    checkpoint.shards_.push_back(std::make_shared<const Shard>(Shard{shard, std::move(*file)}));
  }
  for (const auto& [tensor, shard] : *shard_of) {  // sorted by name
    const std::size_t position = number[shard];
    const TensorInfo* info = checkpoint.shards_[position]->file.find(tensor);
    if (info == nullptr) return refused(path, fmt::format("{} lacks tensor \"{}\"", shard, tensor));
    checkpoint.tensors_.push_back(*info);
    checkpoint.shard_of_.push_back(position);
  }
  if (in_shards != checkpoint.tensors_.size())
    return refused(path,
                   fmt::format("its shards hold {}, it names {}",
                               counted(in_shards, "tensor"),
                               checkpoint.tensors_.size()));
  checkpoint.metadata_ = checkpoint.shards_.front()->file.metadata();
  return checkpoint;
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name, [](const TensorInfo& info, std::string_view wanted) {
        return info.name < wanted;
      });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

std::vector<Path> Checkpoint::files() const {
  std::vector<Path> files;
  for (const auto& shard : shards_) files.push_back(folder_ / shard->name);
  return files;
}

std::size_t Checkpoint::position(const TensorInfo& tensor) const {
  return static_cast<std::size_t>(find(tensor.name) - tensors_.data());
}

std::span<const std::byte> Checkpoint::bytes(const TensorInfo& tensor) const {
  return shards_[shard_of_[position(tensor)]]->file.bytes(tensor);
}

bool Checkpoint::whole(const TensorInfo& tensor) const {
  return shards_[shard_of_[position(tensor)]]->file.whole();
}

Result<void> Checkpoint::check_whole() const {
  for (const auto& shard : shards_)
    if (Result<void> whole = shard->file.check_whole(); !whole) return whole;
  return {};
}

void Checkpoint::release(const TensorInfo& tensor, std::uint64_t begin, std::uint64_t end) const {
  shards_[shard_of_[position(tensor)]]->file.release(tensor.begin + begin, tensor.begin + end);
}

}  // namespace ration::checkpoint
