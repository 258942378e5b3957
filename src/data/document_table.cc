#include "data/document_table.h"

#include <fmt/format.h>

#include <cstring>

#include "base/hash.h"
#include "data/tokenizer.h"

namespace ration::data {
namespace {

constexpr std::size_t kRecord = 24;

Error damaged(const Path& path, const std::string& why) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("damaged data: {} {}", path.string(), why),
          .hint = "prepare the data again with `ration data prepare … --replace`"};
}

Use use_of(const std::string& name) {
  for (const Use use : {Use::val, Use::duplicate, Use::filtered})
    if (name == name_of(use)) return use;
  return Use::train;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::string documents_bytes(const std::vector<DocumentOrigin>& documents) {
  std::string bytes;
  bytes.reserve(documents.size() * kRecord);
  for (const DocumentOrigin& document : documents) {
    put_little_endian(bytes, document.source, 4);
    put_little_endian(bytes, static_cast<std::uint64_t>(document.use), 4);
    put_little_endian(bytes, document.record, 8);
    put_little_endian(bytes, document.bytes, 8);
  }
  return bytes;
}

Result<std::vector<DocumentOrigin>> read_documents(Files& files,
                                                   const Path& folder,
                                                   const Manifest& manifest) {
  std::vector<DocumentOrigin> documents;
  if (manifest.documents_sha256.empty()) {
    for (std::size_t i = 0; i < manifest.sources.size(); ++i)
      documents.push_back({.source = static_cast<std::uint32_t>(i),
                           .use = use_of(manifest.sources[i].use),
                           .bytes = manifest.sources[i].bytes});
    return documents;
  }
  const Path path = folder / kDocumentsFile;
  const Result<std::string> bytes = files.read(path);
  if (!bytes) return bytes.error();
  if (sha256_hex(*bytes) != manifest.documents_sha256)
    return damaged(path, "is not the file of its manifest");
  std::string_view rest = *bytes;
  for (; rest.size() >= kRecord; rest.remove_prefix(kRecord)) {
    const std::uint64_t use = little_endian(rest.substr(4, 4));
    const auto source = static_cast<std::uint32_t>(little_endian(rest.substr(0, 4)));
    if (use > static_cast<std::uint64_t>(Use::filtered) || source >= manifest.sources.size())
      return damaged(path, "names a source or a use that does not exist");
    documents.push_back({.source = source,
                         .use = static_cast<Use>(use),
                         .record = little_endian(rest.substr(8, 8)),
                         .bytes = little_endian(rest.substr(16, 8))});
  }
  return documents;
}

std::string dropped_lines(const std::vector<DroppedText>& dropped) {
  std::string lines;
  for (const DroppedText& one : dropped) {
    Json line = {{"reason", one.reason}, {"place", one.place}};
    if (!one.detail.empty()) line["detail"] = one.detail;
    if (!one.text.empty()) line["text"] = one.text;
    lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return lines;
}

Result<std::vector<DroppedText>> read_dropped(Files& files, const Path& folder) {
  std::vector<DroppedText> dropped;
  const Path path = folder / kDroppedFile;
  if (!files.exists(path)) return dropped;
  const Result<std::string> text = files.read(path);
  if (!text) return text.error();
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const Result<Json> parsed = parse_json(line, path.string());
    if (!parsed || !parsed->is_object()) return damaged(path, "holds a line that is no object");
    const auto member = [&](const char* name) {
      const auto found = parsed->find(name);
      return found != parsed->end() && found->is_string() ? found->get<std::string>() : "";
    };
    dropped.push_back({member("reason"), member("place"), member("detail"), member("text")});
  }
  return dropped;
}

}  // namespace ration::data
