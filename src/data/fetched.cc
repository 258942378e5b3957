#include "data/fetched.h"

#include <fmt/format.h>

namespace ration::data {
namespace {

constexpr const char* kSchema = "ration.fetch/1";

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::uint64_t number_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

FetchedCorpus corpus_of(const Json& object) {
  return {.name = text_of(object, "name"),
          .package = text_of(object, "package"),
          .version = text_of(object, "version"),
          .licence = text_of(object, "licence"),
          .files = number_of(object, "files"),
          .bytes = number_of(object, "bytes"),
          .sha256 = text_of(object, "sha256"),
          .known_sha256 = text_of(object, "known_sha256")};
}

}  // namespace

Json to_json(const FetchedCorpus& corpus) {
  return {{"name", corpus.name},
          {"package", corpus.package},
          {"version", corpus.version},
          {"licence", corpus.licence},
          {"files", corpus.files},
          {"bytes", corpus.bytes},
          {"sha256", corpus.sha256},
          {"known_sha256", corpus.known_sha256}};
}

std::vector<FetchedCorpus> corpora_of(const Manifest& manifest) {
  std::vector<FetchedCorpus> corpora;
  const auto found = manifest.provenance.find("corpora");
  if (found == manifest.provenance.end() || !found->is_array()) return corpora;
  for (const Json& object : *found)
    if (object.is_object()) corpora.push_back(corpus_of(object));
  return corpora;
}

Result<Json> read_corpora(Files& files, const Corpus& corpus) {
  Json corpora = Json::array();
  for (const std::string& name : corpus.fetched) {
    const Path path = corpus.folder / name;
    Result<std::string> text = files.read(path);
    if (!text) return std::move(text).error();
    const Result<Json> document = parse_json(*text, path.string());
    if (!document || !document->is_object() || text_of(*document, "schema") != kSchema)
      return Error{.kind = ErrorKind::input,
                   .what = fmt::format("{} is not what `ration data fetch` writes", path.string()),
                   .hint = "fetch the text again, or give the file another name"};
    corpora.push_back(to_json(corpus_of(*document)));
  }
  return corpora;
}

}  // namespace ration::data
