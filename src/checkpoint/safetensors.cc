#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/mapped_pages.h"
#include "checkpoint/safetensors_header.h"

namespace ration::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they lie in memory");

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxTensors = 1U << 20;
constexpr int kMaxDepth = 8;
Error refused(const Path& path, std::string why) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{} is not a usable safetensors file: {}", path.string(), why),
          .hint = "the file is damaged, incomplete or of another format; obtain it again"};
}

// A SAX pass that nlohmann's DOM cannot replace: the DOM keeps the last of two equal keys silently.
class HeaderChecker final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return descend(); }
  bool end_object() override { return keys_.pop_back(), true; }
  bool start_array(std::size_t) override { return descend(); }
  bool end_array() override { return keys_.pop_back(), true; }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem = fmt::format("the name \"{}\" stands twice in the header", name);
    return false;
  }
  bool parse_error(std::size_t position,
                   const std::string&,
                   const nlohmann::detail::exception&) override {
    problem = fmt::format("the header is not valid JSON at byte {}", position);
    return false;
  }

  std::string problem;

 private:
  bool descend() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxDepth) return true;
    problem = fmt::format("the header is nested deeper than {} levels", kMaxDepth);
    return false;
  }

  std::vector<std::set<std::string>> keys_;
};

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

// One tensor of the header; an empty `why` on success.
TensorInfo parse_entry(const std::string& tensor, const Json& entry, std::string& why) {
  TensorInfo info{.name = tensor};
  const auto complain = [&](std::string_view what) {
    why = fmt::format("tensor \"{}\": {}", tensor, what);
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry["dtype"].is_string()) {
    complain("its entry must hold dtype, shape and data_offsets");
    return info;
  }
  const std::optional<DType> dtype = dtype_of(entry["dtype"].get<std::string>());
  const auto shape = naturals(entry, "shape");
  const auto offsets = naturals(entry, "data_offsets");
  if (!dtype) return complain("unknown dtype"), info;
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
  const std::span<const std::byte> all = file.file_->bytes();
  std::uint64_t length = 0;
  if (all.size() < kLengthBytes) return refused(path, "it is shorter than 8 bytes");
  std::memcpy(&length, all.data(), kLengthBytes);
  if (length > kMaxHeader) return refused(path, fmt::format("its header claims {} bytes", length));
  if (length > all.size() - kLengthBytes) return refused(path, "it ends inside its header");
  file.data_begin_ = kLengthBytes + length;

  const std::string_view header(reinterpret_cast<const char*>(all.data()) + kLengthBytes, length);
  if (!header.starts_with('{')) return refused(path, "its header does not begin with {");
  HeaderChecker checker;
  if (!Json::sax_parse(header, &checker)) return refused(path, checker.problem);
  const Json json = Json::parse(header);  // just checked
  if (json.size() > kMaxTensors) return refused(path, "it names more than 2^20 tensors");
  for (const auto& [tensor, entry] : json.items()) {
    if (tensor == kMetadata) {
      if (!entry.is_object()) return refused(path, "__metadata__ is not a map of text");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return refused(path, "__metadata__ holds something else than text");
        file.metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    std::string why;
    file.tensors_.push_back(parse_entry(tensor, entry, why));
    if (!why.empty()) return refused(path, why);
  }
  std::string why = check_layout(file.tensors_, all.size() - file.data_begin_);
  if (!why.empty()) return refused(path, why);
  return file;
}

const TensorInfo* TensorFile::find(std::string_view name) const {
  const auto found = std::find_if(
      tensors_.begin(), tensors_.end(), [&](const TensorInfo& info) { return info.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::span<const std::byte> TensorFile::bytes(const TensorInfo& tensor) const {
  return file_->bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

void TensorFile::release(std::uint64_t begin, std::uint64_t end) const {
  release_pages(*file_, data_begin_ + begin, data_begin_ + end);
}

void TensorFile::release_all() const { release_pages(*file_, 0, file_->bytes().size()); }

}  // namespace ration::checkpoint
