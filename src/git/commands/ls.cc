#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/dtype.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "git/commands.h"
#include "git/manifests.h"
#include "versions/object_file.h"

namespace ration::git {
namespace {

using cli::Arguments;
using versions::BlockMode;
using versions::ManifestTensor;
using versions::ObjectFile;
using versions::ObjectInfo;

// How the blocks of an object are encoded: "full", "sparse", "rank 8, difference", "missing".
std::string encoding_of(const ObjectInfo& info) {
  constexpr std::array<const char*, versions::kBlockModes> kWords = {
      "full", "same", "sparse", "exclusive", "difference"};
  std::array<bool, versions::kBlockModes> used{};
  for (const versions::BlockEntry& block : info.blocks)
    used.at(static_cast<std::size_t>(block.mode)) = true;
  std::vector<std::string> words;
  if (info.rank > 0) words.push_back(fmt::format("rank {}", info.rank));
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i]) words.emplace_back(kWords[i]);
  return fmt::format("{}", fmt::join(words, ", "));
}

struct Stored {
  std::string encoding;
  std::optional<std::uint64_t> bytes;  // of the object's file
  std::optional<int> depth;
};

Result<Stored> stored(const versions::ObjectStore& store, const ManifestTensor& tensor) {
  if (tensor.bytes == 0) return Stored{.encoding = "empty", .bytes = 0, .depth = 0};
  if (!store.contains(tensor.id)) return Stored{.encoding = "missing", .bytes = {}, .depth = {}};
  Result<ObjectFile> file = ObjectFile::open(store.files(), store.path_of(tensor.id));
  if (!file) return std::move(file).error();
  return Stored{
      .encoding = encoding_of(file->info()), .bytes = file->size(), .depth = file->info().depth};
}

std::string shape_text(const ManifestTensor& tensor) {
  return tensor.shape.empty() ? "scalar" : fmt::format("{}", fmt::join(tensor.shape, "x"));
}

std::string bytes_text(std::uint64_t bytes) {
  return format_quantity(static_cast<double>(bytes), "B");
}

Result<Json> list_file(const Repository& repository,
                       const FoundManifest& found,
                       const cli::Console& console) {
  const versions::ObjectStore store = repository.store();
  Json tensors = Json::array();
  std::vector<std::vector<std::string>> rows = {
      {"tensor", "dtype", "shape", "size", "stored", "depth", "encoding"}};
  for (const ManifestTensor& tensor : found.manifest.tensors) {
    Result<Stored> object = stored(store, tensor);
    if (!object) return std::move(object).error();
    const std::string dtype(checkpoint::name(tensor.dtype));
    rows.push_back({tensor.name,
                    dtype,
                    shape_text(tensor),
                    bytes_text(tensor.bytes),
                    object->bytes ? bytes_text(*object->bytes) : "-",
                    object->depth ? std::to_string(*object->depth) : "-",
                    object->encoding});
    tensors.push_back({{"name", tensor.name},
                       {"dtype", dtype},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes},
                       {"id", tensor.id.hex},
                       {"encoding", object->encoding},
                       {"stored_bytes", object->bytes ? Json(*object->bytes) : Json()},
                       {"depth", object->depth ? Json(*object->depth) : Json()}});
  }
  if (!console.json) {
    console.print(cli::without_control_bytes(
        fmt::format("{}  ({}, {})\n",
                    found.path,
                    bytes_text(found.manifest.size),
                    found.manifest.opaque() ? "opaque" : counted(tensors.size(), "tensor"))));
    if (!tensors.empty()) console.print(cli::without_control_bytes(cli::table(rows)));
  }
  return Json{{"path", found.path},
              {"sha256", found.manifest.file.hex},
              {"bytes", found.manifest.size},
              {"opaque", found.manifest.opaque()},
              {"tensors", tensors}};
}

struct Wanted {
  std::string revision = "HEAD";
  std::optional<std::string> path;  // from the top; a file, or a folder
};

// One word may be either.
Result<Wanted> wanted_of(const Repository& repository, const std::vector<std::string>& words) {
  Wanted wanted;
  const auto is_revision = [&](const std::string& word) {
    const Result<Answer> answer =
        repository.git({"rev-parse", "--quiet", "--verify", "--end-of-options", word + "^{tree}"});
    return answer && answer->ok();
  };
  std::optional<std::string> path;
  if (!words.empty()) {
    const bool revision = words.size() == 2 || is_revision(words[0]);
    if (revision) wanted.revision = words[0];
    if (words.size() == 2 || !revision) path = words.back();
  }
  if (!path) return wanted;
  Result<std::string> from_top = path_from_top(repository, *path);
  if (!from_top) return std::move(from_top).error();
  wanted.path = std::move(*from_top);
  return wanted;
}

bool matches(const std::string& path, const std::optional<std::string>& wanted) {
  if (!wanted || path == *wanted) return true;
  return path.starts_with(*wanted) && (wanted->ends_with('/') || path[wanted->size()] == '/');
}

Result<int> run_ls(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  Result<Wanted> wanted = wanted_of(*repository, arguments.positional);
  if (!wanted) return std::move(wanted).error();
  Result<std::vector<FoundManifest>> all = manifests_of_tree(*repository, wanted->revision);
  if (!all) return std::move(all).error();
  Json files = Json::array();
  for (const FoundManifest& found : *all) {
    if (!matches(found.path, wanted->path)) continue;
    if (!files.empty() && !arguments.console.json) arguments.console.print("\n");
    Result<Json> file = list_file(*repository, found, arguments.console);
    if (!file) return std::move(file).error();
    files.push_back(std::move(*file));
  }
  if (files.empty())
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format(
            "{} has no checkpoint{}", wanted->revision, wanted->path ? " at " + *wanted->path : ""),
        .hint = "`git ration status` lists those of the work tree"};
  if (arguments.console.json)
    arguments.console.print_json(
        Json{{"schema", "ration.git-ls/1"}, {"revision", wanted->revision}, {"files", files}});
  return 0;
}

}  // namespace

cli::Command ls_command() {
  return {.name = "ls",
          .summary = "List the tensors of a version and how they are stored",
          .arguments = "[REV] [PATH]",
          .max_arguments = 2,
          .description =
              "REV is HEAD unless given; PATH a checkpoint or a folder, all of them unless given.\n"
              "depth counts the older objects that reading one needs; \"full\" blocks need none, "
              "the others\nare told by what they store of the difference.",
          .execute = run_ls};
}

}  // namespace ration::git
