#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/hash.h"

namespace ration::data {
namespace {

// The first schema; also a member of what the digest covers, whatever the schema, so that a digest
// names the same tokens for ever.
constexpr const char* kSchema = "ration.manifest/1";
// Files may hold several documents, and documents may be filtered.
constexpr const char* kSchemaOfRecords = "ration.manifest/2";

Json to_json(const ShardInfo& shard) {
  return {{"tokens", shard.tokens},
          {"documents", shard.documents},
          {"tokens_sha256", shard.tokens_sha256},
          {"docs_sha256", shard.docs_sha256}};
}

// The members that the digest covers.
Json identity_json(const Manifest& manifest) {
  return {{"schema", kSchema},
          {"vocab", manifest.vocab},
          {"end_token", manifest.end_token},
          {"tokenizer_sha256", manifest.tokenizer_sha256},
          {"train", to_json(manifest.train)},
          {"val", to_json(manifest.val)},
          {"train_text_bytes", manifest.train_text_bytes},
          {"val_text_bytes", manifest.val_text_bytes}};
}

// Canonical JSON of the file and a comma; a tree of all files would take most of the time.
void append_entry(std::string& text, const SourceFile& source) {
  text += fmt::format("{{\"bytes\":{},", source.bytes);
  if (!source.documents.empty())
    text += fmt::format("\"documents\":{},", canonical_json(source.documents).value());
  text += fmt::format(
      "\"path\":{},\"sha256\":\"{}\"", canonical_json(source.path).value(), source.sha256);
  if (source.documents.empty()) text += fmt::format(",\"use\":\"{}\"", source.use);
  text += "},";
}

// Takes members off a JSON object and collects everything that is wrong with them.
class Reader {
 public:
  Reader(const Json& object, std::string prefix, std::vector<std::string>& problems)
      : object_(object), prefix_(std::move(prefix)), problems_(problems) {}

  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high = kMax) {
    const Json* value = member(name);
    if (value == nullptr) return high;  // blames no other member for this one
    const bool fits = value->is_number_unsigned()
                          ? value->get<std::uint64_t>() <= static_cast<std::uint64_t>(kMax)
                          : value->is_number_integer();
    if (fits && value->get<std::int64_t>() >= low && value->get<std::int64_t>() <= high)
      return value->get<std::int64_t>();
    problem(name,
            high == kMax ? fmt::format("is not a whole number of at least {}", low)
                         : fmt::format("is not a whole number from {} to {}", low, high));
    return high;
  }

  std::string text(const char* name) {
    const Json* value = member(name);
    if (value != nullptr && value->is_string()) return value->get<std::string>();
    if (value != nullptr) problem(name, "is not a string");
    return {};
  }

  std::string digest(const char* name, bool may_be_empty = false) {
    std::string value = text(name);
    const bool hex =
        value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex && !(may_be_empty && value.empty())) problem(name, "is not a SHA-256 in hex");
    return value;
  }

  // The member as an object or array; a null value when it is missing or of another type.
  Json structure(const char* name, Json::value_t type) {
    const Json* value = member(name);
    if (value != nullptr && value->type() == type) return *value;
    if (value != nullptr)
      problem(name, type == Json::value_t::array ? "is not an array" : "is not an object");
    return nullptr;
  }

  void problem(const std::string& name, const std::string& what) {
    problems_.push_back(fmt::format("{}{} {}", prefix_, name, what));
  }

 private:
  static constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

  const Json* member(const char* name) {
    const auto found = object_.is_object() ? object_.find(name) : object_.end();
    if (object_.is_object() && found != object_.end()) return &*found;
    problem(name, "is missing");
    return nullptr;
  }

  const Json& object_;
  std::string prefix_;
  std::vector<std::string>& problems_;
};

ShardInfo read_shard(const Json& object,
                     const std::string& name,
                     std::vector<std::string>& problems) {
  Reader reader(object, name + ".", problems);
  // The bound keeps the size of a file of four-byte tokens within 63 bits.
  constexpr std::int64_t kMostTokens = std::numeric_limits<std::int64_t>::max() / 8;
  const std::int64_t tokens = reader.integer("tokens", 1, kMostTokens);
  return {.tokens = tokens,
          .documents = reader.integer("documents", 1, tokens),
          .tokens_sha256 = reader.digest("tokens_sha256"),
          .docs_sha256 = reader.digest("docs_sha256")};
}

bool known_use(const std::string& use, bool records) {
  return use == "train" || use == "val" || use == "duplicate" || (records && use == "filtered");
}

SourceFile read_source_entry(const Json& entry, Reader& reader, bool records) {
  SourceFile source;
  source.path = reader.text("path");
  source.bytes = static_cast<std::uint64_t>(reader.integer("bytes", 0));
  source.sha256 = reader.digest("sha256");
  if (!records || !entry.is_object() || !entry.contains("documents")) {
    source.use = reader.text("use");
    if (!known_use(source.use, records)) reader.problem("use", "is none of train, val, duplicate");
    return source;
  }
  const Json counts = reader.structure("documents", Json::value_t::object);
  for (const auto& [use, count] : counts.items()) {
    if (known_use(use, records) && count.is_number_unsigned())
      source.documents[use] = count.get<std::int64_t>();
    else
      reader.problem("documents", "does not count documents by use");
  }
  return source;
}

std::vector<SourceFile> read_sources(const Json& array,
                                     bool records,
                                     std::vector<std::string>& problems) {
  std::vector<SourceFile> sources;
  for (std::size_t i = 0; i < array.size(); ++i) {
    Reader reader(array[i], fmt::format("sources[{}].", i), problems);
    sources.push_back(read_source_entry(array[i], reader, records));
  }
  return sources;
}

Manifest read_members(const Json& document, std::vector<std::string>& problems) {
  constexpr std::int64_t kMostIds = std::numeric_limits<std::int32_t>::max();
  Reader reader(document, "", problems);
  Manifest manifest;
  const std::string schema = reader.text("schema");
  const bool records = schema == kSchemaOfRecords;
  if (!records && schema != kSchema)
    reader.problem("schema", fmt::format("is not \"{}\" or \"{}\"", kSchema, kSchemaOfRecords));
  manifest.tokenizer = reader.text("tokenizer");
  manifest.tokenizer_sha256 = reader.digest("tokenizer_sha256", true);
  manifest.vocab = reader.integer("vocab", 1, kMostIds);
  manifest.end_token = reader.integer("end_token", 0, manifest.vocab - 1);
  manifest.train = read_shard(reader.structure("train", Json::value_t::object), "train", problems);
  manifest.val = read_shard(reader.structure("val", Json::value_t::object), "val", problems);
  manifest.train_text_bytes = reader.integer("train_text_bytes", 1);
  manifest.val_text_bytes = reader.integer("val_text_bytes", 1);
  manifest.duplicates_removed = reader.integer("duplicates_removed", 0);
  manifest.provenance = reader.structure("provenance", Json::value_t::object);
  manifest.sources =
      read_sources(reader.structure("sources", Json::value_t::array), records, problems);
  if (records) manifest.documents_sha256 = reader.digest("documents_sha256");
  manifest.digest = reader.digest("digest");
  return manifest;
}

}  // namespace

std::string digest_of(const std::vector<SourceFile>& sources) {
  Sha256 hash;
  for (const SourceFile& source : sources)
    hash.update(fmt::format("{} {}\n", source.sha256, source.path));
  return hash.hex();
}

std::string manifest_digest(const Manifest& manifest) {
  // Integers and strings of hex digits: canonical JSON cannot refuse them.
  return sha256_hex(canonical_json(identity_json(manifest)).value());
}

Result<std::string> manifest_text(const Manifest& manifest) {
  Json document = identity_json(manifest);
  document["tokenizer"] = manifest.tokenizer;
  document["duplicates_removed"] = manifest.duplicates_removed;
  document["provenance"] = manifest.provenance;
  document["digest"] = manifest.digest;
  if (!manifest.documents_sha256.empty()) {
    document["schema"] = kSchemaOfRecords;
    document["documents_sha256"] = manifest.documents_sha256;
  }
  document["sources"] = Json::array();
  Result<std::string> text = canonical_json(document);
  if (!text) return std::move(text).error().with_context("while writing manifest.json");
  // No text behind the sources can hold this: quotes in strings are escaped.
  constexpr std::string_view kNone = "\"sources\":[]";
  const std::size_t end = text->rfind(kNone) + kNone.size() - 1;
  std::string all = text->substr(0, end);
  for (const SourceFile& source : manifest.sources) append_entry(all, source);
  if (!manifest.sources.empty()) all.pop_back();
  return all.append(*text, end) + "\n";
}

Result<Manifest> read_manifest(Files& files, const Path& folder) {
  const Path path = folder / "manifest.json";
  if (!files.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no prepared data: there is no manifest.json",
                                     folder.string()),
                 .hint = "prepare a folder of text with `ration data prepare TEXT -o " +
                         folder.string() + "`"};
  Result<std::string> text = files.read(path);
  if (!text) return std::move(text).error();
  Result<Json> document = parse_json(*text, path.string());
  if (!document) return std::move(document).error().with_context("while reading prepared data");

  std::vector<std::string> problems;
  Manifest manifest = read_members(*document, problems);
  if (problems.empty() && manifest.digest != manifest_digest(manifest))
    problems.push_back("digest does not belong to the other members");
  if (problems.empty()) return manifest;

  std::vector<Error> errors;
  constexpr std::size_t kShown = 20;  // a manifest may list 100,000 files
  for (std::size_t i = 0; i < std::min(problems.size(), kShown); ++i)
    errors.push_back({.kind = ErrorKind::input, .what = problems[i]});
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} is not a usable manifest", path.string()),
               .hint = "prepare the data again with `ration data prepare … --replace`",
               .causes = std::move(errors)};
}

}  // namespace ration::data
