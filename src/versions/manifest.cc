#include "versions/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "checkpoint/safetensors_header.h"

namespace ration::versions {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";
constexpr std::string_view kDigest = "sha256:";

bool is_plain(char c) { return c > ' ' && c < '\x7f' && c != '%'; }

std::string percent_encoded(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (is_plain(c)) {
      text += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += '%';
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

// What percent_encoded() made the text of; nothing where it did not.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      name += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const std::size_t high = kDigits.find(text[i + 1]);
    const std::size_t low = kDigits.find(text[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return percent_encoded(name) == text ? std::optional(name) : std::nullopt;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  return shape.empty() ? "-" : fmt::format("{}", fmt::join(shape, "x"));
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = code == std::errc() && end == text.data() + text.size();
  return whole && (text.size() == 1 || text[0] != '0') ? std::optional(number) : std::nullopt;
}

std::optional<ObjectId> digest_of(std::string_view word) {
  if (!word.starts_with(kDigest)) return std::nullopt;
  return object_id_of(word.substr(kDigest.size()));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

std::optional<std::vector<std::uint64_t>> shape_of(std::string_view text) {
  std::vector<std::uint64_t> shape;
  if (text == "-") return shape;
  for (const std::string_view part : split(text, 'x')) {
    const std::optional<std::uint64_t> length = number_of(part);
    if (!length) return std::nullopt;
    shape.push_back(*length);
  }
  return shape;
}

std::optional<ManifestTensor> tensor_of(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  if (words.size() != 6 || words[0] != "t") return std::nullopt;
  const auto name = percent_decoded(words[1]);
  const auto dtype = checkpoint::dtype_of(words[2]);
  const auto shape = shape_of(words[3]);
  const auto id = digest_of(words[4]);
  const auto bytes = number_of(words[5]);
  if (!name || !dtype || !shape || !id || !bytes) return std::nullopt;
  if (checkpoint::byte_count(*shape, *dtype) != bytes) return std::nullopt;
  return ManifestTensor{*name, *dtype, *shape, *id, *bytes};
}

// Lines 2 and, unless the file is opaque, 3.
bool read_beginning(const std::vector<std::string_view>& lines, Manifest& manifest) {
  if (lines.size() < 3) return false;
  const std::vector<std::string_view> file = split(lines[1], ' ');
  if (file.size() != 4 || file[0] != "file" || file[2] != "size") return false;
  const auto id = digest_of(file[1]);
  const auto size = number_of(file[3]);
  if (!id || !size) return false;
  manifest.file = *id;
  manifest.size = *size;
  if (lines[2] == "opaque") return lines.size() == 3;
  const std::vector<std::string_view> header = split(lines[2], ' ');
  if (header.size() != 3 || header[0] != "header") return false;
  const auto header_id = digest_of(header[1]);
  const auto bytes = number_of(header[2]);
  if (!header_id || !bytes) return false;
  manifest.header = ManifestHeader{*header_id, *bytes};
  return true;
}

Error bad_line(std::size_t line, std::string_view text, std::string_view why) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("line {} of the manifest {}", line, why),
          .hint = "a merge by hand or an editor changed it: check the file out again",
          .where = SourceRef{.file = "manifest",
                             .line = static_cast<int>(line),
                             .line_text = std::string(text.substr(0, 200))}};
}

}  // namespace

const ManifestTensor* Manifest::find(std::string_view name) const {
  const auto found = std::find_if(
      tensors.begin(), tensors.end(), [&](const ManifestTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::string to_text(const Manifest& manifest) {
  std::string text(kManifestBegin);
  text += fmt::format("file sha256:{} size {}\n", manifest.file.hex, manifest.size);
  if (manifest.opaque()) return text + "opaque\n";
  text += fmt::format("header sha256:{} {}\n", manifest.header->id.hex, manifest.header->bytes);
  for (const ManifestTensor& tensor : manifest.tensors)
    text += fmt::format("t {} {} {} sha256:{} {}\n",
                        percent_encoded(tensor.name),
                        checkpoint::name(tensor.dtype),
                        shape_text(tensor.shape),
                        tensor.id.hex,
                        tensor.bytes);
  return text;
}

Result<Manifest> parse_manifest(std::string_view text) {
  if (!text.starts_with(kManifestBegin))
    return bad_line(1, text.substr(0, text.find('\n')), "is not \"ration-checkpoint 1\"");
  if (!text.ends_with('\n'))
    return bad_line(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1,
                    text.substr(text.rfind('\n') + 1),
                    "is cut off");
  text.remove_suffix(1);
  const std::vector<std::string_view> lines = split(text, '\n');
  Manifest manifest;
  if (!read_beginning(lines, manifest))
    return bad_line(2, lines.size() > 1 ? lines[1] : "", "or 3 does not describe the file");
  std::uint64_t bytes =
      manifest.opaque() ? manifest.size : checkpoint::kLengthBytes + manifest.header->bytes;
  for (std::size_t i = 3; i < lines.size(); ++i) {
    std::optional<ManifestTensor> tensor = tensor_of(lines[i]);
    if (!tensor || tensor->bytes > manifest.size)
      return bad_line(i + 1, lines[i], "does not describe a tensor");
    bytes += tensor->bytes;
    manifest.tensors.push_back(std::move(*tensor));
  }
  if (bytes != manifest.size)
    return bad_line(
        2, lines[1], fmt::format("promises {} bytes; its parts have {}", manifest.size, bytes));
  return manifest;
}

std::vector<ObjectId> objects_of(const Manifest& manifest) {
  std::vector<ObjectId> ids;
  if (manifest.opaque()) {
    if (manifest.size > 0) ids.push_back(manifest.file);
    return ids;
  }
  if (manifest.header->bytes > 0) ids.push_back(manifest.header->id);
  for (const ManifestTensor& tensor : manifest.tensors)
    if (tensor.bytes > 0) ids.push_back(tensor.id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace ration::versions
