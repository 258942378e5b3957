#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <optional>

#include "base/json.h"
#include "base/mapped_pages.h"
#include "checkpoint/json_checker.h"
#include "checkpoint/safetensors_header.h"

namespace ration::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they lie in memory");

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxTensors = 1U << 20;
constexpr std::size_t kMaxNameBytes = 4096;

// Why a file, or one of its tensors, cannot be used, and what to do.
struct Problem {
  std::string why;  // empty = none
  std::string hint = "the file is damaged, incomplete or of another format; obtain it again";
};

Error refused(const Path& path, Problem problem) {
  return {
      .kind = ErrorKind::input,
      .what = fmt::format("{} is not a usable safetensors file: {}", path.string(), problem.why),
      .hint = std::move(problem.hint)};
}

// A non-negative integer array of a header entry, or nothing.
std::optional<std::vector<std::uint64_t>> naturals(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<std::uint64_t> numbers;
  for (const Json& item : *found) {
    if (!item.is_number_unsigned()) return std::nullopt;
    numbers.push_back(item.get<std::uint64_t>());
  }
  return numbers;
}

// One tensor of the header, and what is wrong with it.
TensorInfo parse_entry(const std::string& tensor, const Json& entry, Problem& problem) {
  TensorInfo info{.name = tensor};
  // Longer ones would overflow the stack where regular expressions look at them.
  if (tensor.size() > kMaxNameBytes) {
    problem.why = fmt::format("the name of a tensor has {} bytes, more than {}: \"{}…\"",
                              tensor.size(),
                              kMaxNameBytes,
                              tensor.substr(0, 40));
    return info;
  }
  const auto complain = [&](std::string_view what) {
    problem.why = fmt::format("tensor \"{}\": {}", tensor, what);
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry["dtype"].is_string()) {
    complain("its entry must hold dtype, shape and data_offsets");
    return info;
  }
  const std::optional<DType> dtype = dtype_of(entry["dtype"].get<std::string>());
  const auto shape = naturals(entry, "shape");
  const auto offsets = naturals(entry, "data_offsets");
  if (!dtype) {
    complain(fmt::format("unknown dtype \"{}\"", entry["dtype"].get<std::string>()));
    problem.hint = fmt::format("convert the tensor to one of {}", dtype_names());
    return info;
  }
  if (!shape || !offsets || offsets->size() != 2)
    return complain("shape or data_offsets is not a list of whole numbers"), info;
  info.dtype = *dtype;
  info.shape = *shape;
  info.begin = (*offsets)[0];
  info.end = (*offsets)[1];
  const std::optional<std::uint64_t> bytes = byte_count(info.shape, info.dtype);
  if (!bytes || info.end < info.begin || info.end - info.begin != *bytes)
    complain("data_offsets disagree with shape and dtype");
  return info;
}

// Tensors in the order of their data, without gap or overlap, up to the end; a reason when they are
// not.
std::string check_layout(std::vector<TensorInfo>& tensors, std::uint64_t data_bytes) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t expected = 0;
  for (const TensorInfo& info : tensors) {
    if (info.begin != expected)
      return fmt::format("tensor \"{}\" overlaps another or leaves a gap before it", info.name);
    expected = info.end;
  }
  if (expected != data_bytes)
    return fmt::format("the tensors end at byte {} of {} data bytes", expected, data_bytes);
  return {};
}

}  // namespace

Result<void> write_safetensors(Files& files,
                               const Path& path,
                               std::vector<TensorView> tensors,
                               const Metadata& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return a.name < b.name;
  });
  std::vector<TensorInfo> layout;
  for (const TensorView& tensor : tensors)
    layout.push_back({tensor.name, tensor.dtype, tensor.shape});
  Result<std::string> header = begin_safetensors(layout, path, metadata);
  if (!header) return std::move(header).error();
  std::string bytes = std::move(*header);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (layout[i].end - layout[i].begin != tensors[i].bytes.size())
      return Error{.kind = ErrorKind::internal,
                   .what = fmt::format(
                       "tensor \"{}\" for {} has a wrong size", tensors[i].name, path.string())};
  for (const TensorView& tensor : tensors)
    bytes.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  return files.write_whole(path, bytes);
}

Result<TensorFile> TensorFile::open(Files& files, const Path& path) {
  Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
  if (!mapped) return std::move(mapped).error();
  TensorFile file;
  file.file_ = std::move(*mapped);
  file.watched_ = std::make_shared<Watched>(files, std::filesystem::absolute(path));
  const std::span<const std::byte> all = file.file_->bytes();
  std::uint64_t length = 0;
  if (all.size() < kLengthBytes) return refused(path, {"it is shorter than 8 bytes"});
  std::memcpy(&length, all.data(), kLengthBytes);
  if (length > kMaxHeader)
    return refused(path, {fmt::format("its header claims {} bytes", length)});
  if (length > all.size() - kLengthBytes) return refused(path, {"it ends inside its header"});
  file.data_begin_ = kLengthBytes + length;

  const std::string_view header(reinterpret_cast<const char*>(all.data()) + kLengthBytes, length);
  if (!header.starts_with('{')) return refused(path, {"its header does not begin with {"});
  if (std::string why = problem_of_json(header, "the header"); !why.empty())
    return refused(path, {std::move(why)});
  const Json json = Json::parse(header);  // just checked
  if (json.size() > kMaxTensors) return refused(path, {"it names more than 2^20 tensors"});
  for (const auto& [tensor, entry] : json.items()) {
    if (tensor == kMetadata) {
      if (!entry.is_object()) return refused(path, {"__metadata__ is not a map of text"});
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string())
          return refused(path, {"__metadata__ holds something else than text"});
        file.metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    Problem problem;
    file.tensors_.push_back(parse_entry(tensor, entry, problem));
    if (!problem.why.empty()) return refused(path, std::move(problem));
  }
  std::string why = check_layout(file.tensors_, all.size() - file.data_begin_);
  if (!why.empty()) return refused(path, {std::move(why)});
  file.by_name_.resize(file.tensors_.size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), std::size_t{0});
  std::sort(file.by_name_.begin(), file.by_name_.end(), [&](std::size_t a, std::size_t b) {
    return file.tensors_[a].name < file.tensors_[b].name;
  });
  return file;
}

const TensorInfo* TensorFile::find(std::string_view name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name, [&](std::size_t position, std::string_view wanted) {
        return tensors_[position].name < wanted;
      });
  return found == by_name_.end() || tensors_[*found].name != name ? nullptr : &tensors_[*found];
}

std::span<const std::byte> TensorFile::bytes(const TensorInfo& tensor) const {
  return file_->bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

bool TensorFile::whole() const {
  if (watched_->shrank) return false;
  const Result<std::uint64_t> size = watched_->files.size(watched_->path);
  if (size && *size < all().size()) watched_->shrank = true;
  return !watched_->shrank;
}

Result<void> TensorFile::check_whole() const {
  if (whole()) return {};
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format(
          "{} lost some of its {} bytes while it was read", watched_->path.string(), all().size()),
      .hint = "something else writes to it: wait until it is done, then run this again"};
}

void TensorFile::release(std::uint64_t begin, std::uint64_t end) const {
  release_pages(*file_, data_begin_ + begin, data_begin_ + end);
}

void TensorFile::release_all() const { release_pages(*file_, 0, file_->bytes().size()); }

}  // namespace ration::checkpoint
