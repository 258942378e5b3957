#include "data/journal.h"

#include "base/crc_line.h"

namespace ration::data {
namespace {

constexpr const char* kName = "journal.jsonl";

Json to_json(const ShardInfo& info) {
  return {{"tokens", info.tokens},
          {"documents", info.documents},
          {"tokens_sha256", info.tokens_sha256},
          {"docs_sha256", info.docs_sha256}};
}

// Lines with a right sum were written by us and have these members.
ShardInfo shard_of(const Json& line, const char* name) {
  const Json& info = line.at(name);
  return {.tokens = info.at("tokens").get<std::int64_t>(),
          .documents = info.at("documents").get<std::int64_t>(),
          .tokens_sha256 = info.at("tokens_sha256").get<std::string>(),
          .docs_sha256 = info.at("docs_sha256").get<std::string>()};
}

}  // namespace

std::optional<JournalContents> Journal::read(Files& files,
                                             const Path& folder,
                                             const std::string& key) {
  const Path path = folder / kName;
  if (!files.exists(path)) return std::nullopt;
  const Result<std::string> text = files.read(path);
  if (!text) return std::nullopt;
  std::optional<JournalContents> contents;
  std::string_view rest = *text;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!check_crc(line)) break;
    const Result<Json> document = parse_json(line, path.string());
    if (!document) break;
    if (!contents) {
      if (document->value("key", "") != key) return std::nullopt;
      contents = JournalContents{.tokenizer_sha256 = document->value("tokenizer_sha256", "")};
    } else {
      contents->written = {.documents = document->at("documents").get<std::size_t>(),
                           .train = shard_of(*document, "train"),
                           .val = shard_of(*document, "val")};
    }
  }
  return contents;
}

Result<Journal> Journal::create(Files& files,
                                const Path& folder,
                                const std::string& key,
                                const std::string& tokenizer_sha256) {
  const Json head = {{"key", key}, {"tokenizer_sha256", tokenizer_sha256}};
  if (auto done = files.write_whole(folder / kName, with_crc(head.dump()) + "\n"); !done)
    return std::move(done).error();
  return go_on(files, folder);
}

Result<Journal> Journal::go_on(Files& files, const Path& folder) {
  Result<std::unique_ptr<AppendFile>> file = files.open_append(folder / kName);
  if (!file) return std::move(file).error();
  return Journal(*std::move(file));
}

Result<void> Journal::remove(Files& files, const Path& folder) {
  return files.remove_all(folder / kName);
}

Result<void> Journal::note(const WrittenSoFar& written) {
  const Json line = {{"documents", written.documents},
                     {"train", to_json(written.train)},
                     {"val", to_json(written.val)}};
  if (auto done = file_->append(with_crc(line.dump()) + "\n"); !done) return done;
  return file_->sync();
}

}  // namespace ration::data
