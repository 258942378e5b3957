#include "versions/source.h"

#include <cstring>

#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/safetensors_header.h"
#include "versions/keep.h"

namespace ration::versions {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Manifest manifest_of(const checkpoint::TensorFile& file, int threads) {
  const std::span<const std::byte> header = header_of(file);
  Manifest manifest;
  manifest.size = file.all().size();
  manifest.header = ManifestHeader{ObjectId{sha256_hex(text_of(header))}, header.size()};
  std::vector<ObjectId> ids = digests_of(file, threads);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const checkpoint::TensorInfo& tensor = file.tensors()[i];
    manifest.tensors.push_back(
        {tensor.name, tensor.dtype, tensor.shape, std::move(ids[i]), tensor.end - tensor.begin});
  }
  return manifest;
}

Result<Manifest> manifest_of_bytes(std::span<const std::byte> bytes) {
  if (text_of(bytes).starts_with(kManifestBegin)) return parse_manifest(text_of(bytes));
  Manifest manifest;
  manifest.size = bytes.size();
  manifest.file = ObjectId{sha256_hex(text_of(bytes))};
  return manifest;
}

}  // namespace

Result<Source> Source::open(const ObjectStore& store, const Path& path, int threads) {
  Source source;
  source.store_ = &store;
  Result<checkpoint::TensorFile> file = checkpoint::TensorFile::open(store.files(), path);
  if (file) {
    source.manifest_ = manifest_of(*file, threads);
    source.file_ = std::make_shared<const checkpoint::TensorFile>(std::move(*file));
    return source;
  }
  if (file.error().kind != ErrorKind::input) return std::move(file).error();
  Result<std::unique_ptr<MappedFile>> mapped = store.files().map(path);
  if (!mapped) return std::move(mapped).error();
  Result<Manifest> manifest = manifest_of_bytes((*mapped)->bytes());
  if (!manifest) return std::move(manifest).error().with_context(path.string());
  source.manifest_ = std::move(*manifest);
  return source;
}

Result<ReadBlock> Source::tensor(const ManifestTensor& tensor) const {
  if (tensor.bytes == 0)
    return ReadBlock([](std::uint64_t, std::span<std::byte>) { return Result<void>(); });
  if (file_) {
    return ReadBlock([file = file_, info = file_->find(tensor.name)](std::uint64_t index,
                                                                     std::span<std::byte> block) {
      const std::uint64_t begin = index * kBlockBytes;
      std::memcpy(block.data(), file->bytes(*info).data() + begin, block.size());
      file->release(info->begin + begin, info->begin + begin + block.size());
      return Result<void>();
    });
  }
  Result<ObjectReader> reader = store_->open(tensor.id);
  if (!reader) return std::move(reader).error();
  if (reader->layout().bytes != tensor.bytes)
    return Error{.kind = ErrorKind::input,
                 .what = "object " + tensor.id.hex + " is not as long as tensor " + tensor.name};
  const auto shared = std::make_shared<const ObjectReader>(std::move(*reader));
  return ReadBlock([shared](std::uint64_t index, std::span<std::byte> block) {
    return shared->block(index, block);
  });
}

Result<std::string> Source::stored_header() const {
  std::string text(manifest_.header->bytes, '\0');
  const ManifestTensor object{.id = manifest_.header->id, .bytes = text.size()};
  Result<ReadBlock> read = tensor(object);
  if (!read) return std::move(read).error();
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
  for (std::uint64_t i = 0; i < block_count(bytes.size()); ++i) {
    const std::span<std::byte> block =
        bytes.subspan(i * kBlockBytes, bytes_of_block(bytes.size(), i));
    if (Result<void> done = (*read)(i, block); !done) return std::move(done).error();
  }
  return text;
}

Result<checkpoint::Metadata> Source::metadata() const {
  checkpoint::Metadata metadata;
  if (manifest_.opaque() || manifest_.header->bytes == 0) return metadata;
  if (file_) return file_->metadata();
  Result<std::string> text = stored_header();
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, "header sha256:" + manifest_.header->id.hex);
  if (!json) return std::move(json).error();
  const auto found = json->find(checkpoint::kMetadata);
  if (found == json->end() || !found->is_object()) return metadata;
  for (const auto& [key, value] : found->items())
    if (value.is_string()) metadata[key] = value.get<std::string>();
  return metadata;
}

}  // namespace ration::versions
