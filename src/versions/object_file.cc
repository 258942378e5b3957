#include "versions/object_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/fault.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mapped_pages.h"
#include "checkpoint/dtype.h"
#include "merge/numbers.h"

namespace ration::versions {
namespace {

static_assert(std::endian::native == std::endian::little,
              "numbers are stored as they lie in memory");

constexpr std::string_view kBegin = "RTNOBJ1\n";
constexpr std::uint64_t kTail = 16;  // hex digits behind the JSON
// Pages of longer payloads leave memory when they were read.
constexpr std::uint64_t kReleased = std::uint64_t{1} << 17;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string tail_of(std::string_view json) {
  return fmt::format("{}{:08x}{:08x}", json, crc32c(json), json.size());
}

Json to_json(const ObjectInfo& info) {
  Json json{{"bytes", info.layout.bytes}, {"item_bytes", info.layout.item_bytes}};
  if (info.parent) {
    json["parent"] = info.parent->hex;
    json["depth"] = info.depth;
    json["chain_bytes"] = info.chain_bytes;
  }
  if (info.rank > 0)
    json["factor"] = {{"dtype", std::string(checkpoint::name(*info.layout.dtype))},
                      {"rows", info.layout.rows},
                      {"columns", info.layout.columns},
                      {"rank", info.rank}};
  Json modes = Json::array();
  Json ends = Json::array();
  Json crcs = Json::array();
  for (const BlockEntry& block : info.blocks) {
    modes.push_back(static_cast<int>(block.mode));
    ends.push_back(block.end);
    crcs.push_back(block.crc);
  }
  json["modes"] = std::move(modes);
  json["ends"] = std::move(ends);
  json["crcs"] = std::move(crcs);
  return json;
}

// The members of a footer whose CRC is right; throws nlohmann's exceptions for others.
ObjectInfo info_of(const Json& json) {
  ObjectInfo info;
  info.layout.bytes = json.at("bytes").get<std::uint64_t>();
  info.layout.item_bytes = json.at("item_bytes").get<std::uint32_t>();
  if (json.contains("parent")) {
    info.parent = object_id_of(json.at("parent").get<std::string>());
    info.depth = json.at("depth").get<int>();
    info.chain_bytes = json.at("chain_bytes").get<std::uint64_t>();
  }
  if (json.contains("factor")) {
    const Json& factor = json.at("factor");
    info.layout.dtype = checkpoint::dtype_of(factor.at("dtype").get<std::string>());
    info.layout.rows = factor.at("rows").get<std::uint64_t>();
    info.layout.columns = factor.at("columns").get<std::uint64_t>();
    info.rank = factor.at("rank").get<std::uint32_t>();
  }
  const auto modes = json.at("modes").get<std::vector<int>>();
  const auto ends = json.at("ends").get<std::vector<std::uint64_t>>();
  const auto crcs = json.at("crcs").get<std::vector<std::uint32_t>>();
  for (std::size_t i = 0; i < modes.size(); ++i)
    info.blocks.push_back({static_cast<BlockMode>(modes[i]), ends.at(i), crcs.at(i)});
  return info;
}

std::uint64_t factor_bytes(const ObjectInfo& info) {
  return (info.layout.rows + info.layout.columns) * info.rank * sizeof(float);
}

bool is_sound(const ObjectInfo& info, std::uint64_t blocks_limit) {
  const Layout& layout = info.layout;
  const std::uint32_t item = layout.item_bytes;
  if (item == 0 || item > 8 || !std::has_single_bit(item) || layout.bytes % item != 0) return false;
  if (info.blocks.size() != block_count(layout.bytes)) return false;
  if (info.rank > 0) {
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 31;
    if (!layout.dtype || !merge::is_float(*layout.dtype) || !info.parent ||
        layout.rows > kLargest || layout.columns > kLargest || info.rank > 4096)
      return false;
    if (checkpoint::item_bytes(*layout.dtype) != item ||
        layout.rows * layout.columns * item != layout.bytes)
      return false;
    if (layout.columns == 0 || factor_bytes(info) > blocks_limit) return false;
  }
  std::uint64_t last = kBegin.size() + factor_bytes(info);
  for (const BlockEntry& block : info.blocks) {
    const int mode = static_cast<int>(block.mode);
    if (mode < 0 || mode >= kBlockModes || (mode != 0 && !info.parent)) return false;
    if (block.end < last) return false;
    last = block.end;
  }
  return last == blocks_limit;
}

std::optional<std::uint32_t> hex_of(std::string_view digits) {
  std::uint32_t number = 0;
  const auto [end, code] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return code == std::errc() && end == digits.data() + digits.size() ? std::optional(number)
                                                                     : std::nullopt;
}

// Nothing where the end of the file is not one that tail_of() wrote.
std::optional<ObjectInfo> read_info(std::string_view file) {
  if (!file.starts_with(kBegin) || file.size() < kBegin.size() + kTail) return std::nullopt;
  const auto crc = hex_of(file.substr(file.size() - 16, 8));
  const auto length = hex_of(file.substr(file.size() - 8));
  if (!crc || !length || *length > file.size() - kBegin.size() - kTail) return std::nullopt;
  const std::string_view json = file.substr(file.size() - kTail - *length, *length);
  if (crc32c(json) != *crc) return std::nullopt;
  try {
    ObjectInfo info = info_of(Json::parse(json));
    return is_sound(info, file.size() - kTail - *length) ? std::optional(std::move(info))
                                                         : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

Factor read_factor(const ObjectInfo& info, const std::byte* at) {
  Factor factor{.rank = info.rank};
  factor.u.resize(info.layout.rows * info.rank);
  factor.v.resize(info.layout.columns * info.rank);
  std::memcpy(factor.u.data(), at, factor.u.size() * sizeof(float));
  std::memcpy(
      factor.v.data(), at + factor.u.size() * sizeof(float), factor.v.size() * sizeof(float));
  return factor;
}

Error damaged(const Path& path, std::string_view what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("the object {} is damaged: {}", path.string(), what),
          .hint =
              "`git ration fsck` lists all damaged objects; fetch them from a remote, or add the "
              "checkpoints again"};
}

}  // namespace

Result<ObjectFile> ObjectFile::open(Files& files, const Path& path) {
  Result<std::unique_ptr<MappedFile>> mapped = files.map(path);
  if (!mapped) return std::move(mapped).error();
  ObjectFile object;
  object.path_ = path;
  object.file_ = std::move(*mapped);
  std::optional<ObjectInfo> info = read_info(text_of(object.file_->bytes()));
  if (!info) return damaged(path, "its end is missing or changed");
  object.info_ = std::move(*info);
  object.blocks_begin_ = kBegin.size() + factor_bytes(object.info_);
  if (object.info_.rank > 0)
    object.factor_ = read_factor(object.info_, object.file_->bytes().data() + kBegin.size());
  return object;
}

std::span<const std::byte> ObjectFile::payload(std::uint64_t index) const {
  const std::uint64_t begin = index == 0 ? blocks_begin_ : info_.blocks[index - 1].end;
  return file_->bytes().subspan(begin, info_.blocks[index].end - begin);
}

bool ObjectFile::intact() const {
  for (std::uint64_t i = 0; i < info_.blocks.size(); ++i) {
    const std::span<const std::byte> stored = payload(i);
    if (crc32c(text_of(stored)) != info_.blocks[i].crc) return false;
    let_go(stored, info_.blocks[i].end);
  }
  return true;
}

void ObjectFile::let_go(std::span<const std::byte> stored, std::uint64_t end) const {
  if (stored.size() >= kReleased) release_pages(*file_, end - stored.size(), end);
}

Result<void> ObjectFile::decode(std::uint64_t index, std::span<std::byte> block) const {
  const BlockEntry& entry = info_.blocks[index];
  const std::span<const std::byte> stored = payload(index);
  if (crc32c(text_of(stored)) != entry.crc)
    return damaged(path_, fmt::format("block {} has another checksum", index));
  if (factor_ && entry.mode != BlockMode::full)
    add_factor(*factor_, info_.layout, index * kBlockBytes / info_.layout.item_bytes, block);
  if (!decode_block(entry.mode, stored, info_.layout.item_bytes, block))
    return damaged(path_, fmt::format("block {} cannot be decoded", index));
  let_go(stored, entry.end);
  return {};
}

Result<ObjectWriter> ObjectWriter::create(Files& files,
                                          const Path& path,
                                          ObjectInfo info,
                                          const Factor* factor) {
  Result<std::unique_ptr<AppendFile>> file = files.open_append(path);
  if (!file) return std::move(file).error();
  ObjectWriter writer;
  writer.files_ = &files;
  writer.path_ = path;
  writer.file_ = std::move(*file);
  writer.info_ = std::move(info);
  writer.info_.rank = factor == nullptr ? 0 : factor->rank;
  std::string beginning(kBegin);
  if (factor != nullptr) {
    beginning += text_of(std::as_bytes(std::span(factor->u)));
    beginning += text_of(std::as_bytes(std::span(factor->v)));
  }
  if (Result<void> done = writer.file_->append(beginning); !done) return std::move(done).error();
  writer.written_ = beginning.size();
  return writer;
}

Result<void> ObjectWriter::append(const EncodedBlock& block) {
  const std::string_view payload = text_of(block.payload);
  written_ += payload.size();
  info_.blocks.push_back({block.mode, written_, crc32c(payload)});
  fault_point("object-before-block");
  return payload.empty() ? Result<void>() : file_->append(payload);
}

Result<std::uint64_t> ObjectWriter::finish() {
  const bool alone =
      std::all_of(info_.blocks.begin(), info_.blocks.end(), [](const BlockEntry& block) {
        return block.mode == BlockMode::full;
      });
  if (alone && info_.rank == 0) info_.parent.reset();
  const std::string tail = tail_of(to_json(info_).dump());
  fault_point("object-before-end");
  if (Result<void> done = file_->append(tail); !done) return std::move(done).error();
  if (Result<void> done = files_->sync(path_); !done) return std::move(done).error();
  return written_ + tail.size();
}

}  // namespace ration::versions
