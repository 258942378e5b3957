#include "fuse/folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "base/part_file.h"

namespace ration::fuse {
namespace {

constexpr const char* kSchema = "ration.fusion/1";
constexpr const char* kEnding = ".safetensors";
constexpr std::size_t kPiece = std::size_t{4} << 20;  // bytes copied at once

std::string_view chars_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<void> copy(Files& files, std::string_view bytes, const Path& to) {
  const Path part = part_beside(files, to);
  if (files.exists(part))
    if (Result<void> done = files.remove_all(part); !done) return done;
  Result<std::unique_ptr<AppendFile>> file = files.open_append(part);
  if (!file) return std::move(file).error();
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPiece)
    if (Result<void> done = (*file)->append(bytes.substr(begin, kPiece)); !done) return done;
  if (Result<void> done = (*file)->sync(); !done) return done;
  return files.rename(part, to);
}

}  // namespace

Path fusion_folder(const Path& store, const std::string& name) { return store / "fuse" / name; }
Path base_file(const Path& folder, const std::string& sha256) {
  return folder / "bases" / (sha256 + kEnding);
}
Path velocity_file(const Path& folder, const std::string& sha256) {
  return folder / "velocities" / (sha256 + kEnding);
}
Path contribution_file(const Path& folder, const std::string& sha256) {
  return folder / "contributions" / (sha256 + kEnding);
}
Path round_file(const Path& folder, std::int64_t round) {
  return folder / "rounds" / fmt::format("round-{:05}.json", round);
}

Result<std::string> sha256_of(Files& files, const Path& file) {
  Result<std::unique_ptr<MappedFile>> mapped = files.map(file);
  if (!mapped) return std::move(mapped).error();
  return sha256_hex(chars_of((*mapped)->bytes()));
}

Result<void> check_digest(Files& files, const Path& file, const std::string& sha256) {
  const auto refused = [&](std::string_view what) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} {}", file.string(), what),
                 .hint = "restore it from a copy; a fusion goes on from the bytes it knows alone"};
  };
  if (!files.exists(file)) return refused("is gone");
  const Result<std::string> now = sha256_of(files, file);
  if (!now) return now.error();
  if (*now == sha256) return {};
  return refused(fmt::format("was changed: its SHA-256 is {}, not {}", *now, sha256));
}

Result<std::string> keep_copy(Files& files, const Path& file, const Path& folder) {
  Result<std::unique_ptr<MappedFile>> mapped = files.map(file);
  if (!mapped) return std::move(mapped).error();
  const std::string_view bytes = chars_of((*mapped)->bytes());
  const std::string sha256 = sha256_hex(bytes);
  const Path to = folder / (sha256 + kEnding);
  if (files.exists(to) && check_digest(files, to, sha256)) return sha256;
  if (Result<void> made = files.make_folders(folder); !made) return std::move(made).error();
  if (Result<void> done = copy(files, bytes, to); !done) return std::move(done).error();
  return sha256;
}

Result<std::string> keep(Files& files, const Path& file, const Path& folder) {
  Result<std::string> sha256 = sha256_of(files, file);
  if (!sha256) return sha256;
  if (Result<void> made = files.make_folders(folder); !made) return std::move(made).error();
  if (Result<void> done = files.rename(file, folder / (*sha256 + kEnding)); !done)
    return std::move(done).error();
  return sha256;
}

Path submission_file(const Path& folder, std::int64_t number) {
  return inbox(folder) / fmt::format("{:05}.json", number);
}

Json to_json(const Submission& submission) {
  return {{"contributor", submission.contributor},
          {"from", submission.from},
          {"model", submission.model.string()},
          {"tokens", submission.tokens}};
}

Result<Submission> read_submission(Files& files, const Path& file) {
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file.string());
  if (!json) return std::move(json).error();
  try {
    return Submission{.contributor = json->at("contributor"),
                      .from = json->at("from"),
                      .model = json->at("model").get<std::string>(),
                      .tokens = json->at("tokens")};
  } catch (const Json::exception& error) {
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is no submission: {}", file.string(), error.what()),
                 .hint = "move it away, and submit the model again"};
  }
}

Path relative_to(const Path& folder, const Path& file) {
  const auto absolute = [](const Path& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  return absolute(file).lexically_relative(absolute(folder));
}

Result<void> write_identity(Files& files, const Path& folder, const Identity& identity) {
  const Json document = {{"schema", kSchema},
                         {"base", identity.base},
                         {"model", identity.model},
                         {"config", to_json(identity.config)}};
  return files.write_whole(folder / "fusion.json", document.dump(1) + "\n");
}

Result<Identity> read_identity(Files& files, const Path& folder) {
  const Path file = folder / "fusion.json";
  if (!files.exists(file))
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} holds no fusion", folder.string()),
                 .hint = "`ration fuse status` lists those of a store"};
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file.string());
  if (!json) return std::move(json).error();
  const bool sound = json->is_object() && json->value("schema", Json()) == kSchema &&
                     json->value("base", Json()).is_string() && json->contains("config");
  if (!sound)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is of another version, or damaged", file.string()),
                 .hint = "restore it from a copy, or begin the fusion anew under another name"};
  Result<Config> config = stored_config((*json)["config"], file.string());
  if (!config) return std::move(config).error();
  return Identity{std::move(*config), (*json)["base"], json->value("model", Json::object())};
}

namespace {

Result<void> find_fusions(Files& files,
                          const Path& folder,
                          const std::string& name,
                          int depth,
                          std::vector<std::string>& names) {
  constexpr int kDeepest = 8;
  if (files.exists(folder / "fusion.json")) return names.push_back(name), Result<void>();
  std::error_code code;
  if (depth > kDeepest || !std::filesystem::is_directory(folder, code)) return {};
  Result<std::vector<std::string>> inner = files.list(folder);
  if (!inner) return std::move(inner).error();
  for (const std::string& each : *inner)
    if (Result<void> done = find_fusions(
            files, folder / each, name.empty() ? each : name + "/" + each, depth + 1, names);
        !done)
      return done;
  return {};
}

}  // namespace

Result<std::vector<std::string>> fusions(Files& files, const Path& store) {
  std::vector<std::string> names;
  const Path folder = store / "fuse";
  if (!files.exists(folder)) return names;
  if (Result<void> done = find_fusions(files, folder, "", 0, names); !done)
    return std::move(done).error();
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ration::fuse
