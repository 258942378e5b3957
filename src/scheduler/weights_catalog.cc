#include "scheduler/weights_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/command.h"
#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/finite.h"
#include "data/manifest.h"
#include "merge/recipe.h"
#include "run/points.h"
#include "scheduler/local_executor.h"

namespace ration::scheduler {
namespace {

bool is_float(checkpoint::DType dtype) {
  using checkpoint::DType;
  return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64;
}

// Of an error's text, what went wrong.
std::string_view first_line(std::string_view text) {
  constexpr std::string_view kError = "error: ";
  if (text.starts_with(kError)) text.remove_prefix(kError.size());
  return text.substr(0, text.find('\n'));
}

Result<void> check_recipe(const run::Point& point) {
  const std::string where = fmt::format("point \"{}\"", point.name);
  const Result<merge::Recipe> recipe = merge::parse_recipe(point.recipe, where);
  if (!recipe) return recipe.error();
  if (!merge::needs_statistics(*recipe)) return {};
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format(
          "{}: {} needs statistics, which lists of points do not name", where, recipe->method),
      .hint = "merge it into a file with `ration merge`, and list that file"};
}

Result<void> check_corpus(Files& files, const run::PointCorpus& corpus) {
  const Result<data::Manifest> manifest = data::read_manifest(files, corpus.data);
  if (!manifest) return manifest.error();
  if (manifest->digest == corpus.digest) return {};
  return Error{
      .kind = ErrorKind::input,
      .what = fmt::format("corpus \"{}\": the data in {} has the digest {}, the list says {}",
                          corpus.name,
                          corpus.data,
                          manifest->digest,
                          corpus.digest),
      .hint = "write the list anew for this data"};
}

// What the worker would refuse, before anything is started: all of it in one error.
Result<void> check_list(Files& files, const run::PointList& list) {
  std::vector<Error> problems;
  for (const run::Point& point : list.points)
    if (Result<void> sound = check_recipe(point); !sound)
      problems.push_back(std::move(sound).error());
  for (const run::PointCorpus& corpus : list.corpora)
    if (Result<void> sound = check_corpus(files, corpus); !sound)
      problems.push_back(std::move(sound).error());
  for (const auto& [model, file] : list.files)
    if (!files.exists(file))
      problems.push_back({.kind = ErrorKind::input,
                          .what = fmt::format("model \"{}\": there is no {}", model, file),
                          .hint = "bring the file back, or write the list anew"});
  if (problems.empty()) return {};
  std::vector<std::string> told;  // in one line: the line of the sweep file stands below it
  for (const Error& problem : problems) {
    told.push_back(problem.what);
    for (const Error& cause : problem.causes) told.push_back(cause.what);
  }
  return Error{.kind = problems.front().kind,
               .what = fmt::format("{}", fmt::join(told, "; ")),
               .hint = problems.front().hint};
}

}  // namespace

WeightsCatalog::WeightsCatalog(Files& files, const Path& base)
    : files_(files), base_(std::filesystem::absolute(base.empty() ? "." : base)) {}

const Result<WeightsCatalog::Entry>& WeightsCatalog::weights(const std::string& path) {
  const auto found = weights_.find(path);
  if (found != weights_.end()) return found->second;
  return weights_.emplace(path, read_weights((base_ / path).lexically_normal())).first->second;
}

const Result<WeightsCatalog::Entry>& WeightsCatalog::committed(const std::string& name) {
  const auto found = committed_.find(name);
  if (found != committed_.end()) return found->second;
  return committed_.emplace(name, read_committed(name)).first->second;
}

const Result<WeightsCatalog::Entry>& WeightsCatalog::points(const std::string& path) {
  const auto found = points_.find(path);
  if (found != points_.end()) return found->second;
  return points_.emplace(path, read_points((base_ / path).lexically_normal())).first->second;
}

Result<WeightsCatalog::Entry> WeightsCatalog::read_weights(Path path) const {
  if (!files_.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no {}", path.string()),
                 .hint =
                     "name a safetensors file, or a checkpoint's folder; a relative path starts "
                     "at the folder of the sweep file"};
  // One file is named itself, so that its digest is that of the file.
  if (files_.exists(path / "model.safetensors")) path /= "model.safetensors";
  const Result<checkpoint::Checkpoint> weights = checkpoint::Checkpoint::open(files_, path);
  if (!weights) {
    Error error = weights.error();
    error.hint = "name a safetensors file, an index of shards, or a folder that holds one";
    return error;
  }
  if (Result<void> finite = checkpoint::check_finite(*weights); !finite)
    return std::move(finite).error();
  Entry entry{.setting = "sha256:" + weights->sha256(), .file = path.string()};
  for (const checkpoint::TensorInfo& tensor : weights->tensors())
    if (is_float(tensor.dtype))
      entry.numbers += weights->bytes(tensor).size() / checkpoint::item_bytes(tensor.dtype);
  return entry;
}

Result<WeightsCatalog::Entry> WeightsCatalog::read_committed(const std::string& name) const {
  constexpr double kSeconds = 3600;  // a remote may have to send it first
  const Path beside = this_program().parent_path() / "git-ration";
  const std::string program = files_.exists(beside) ? beside.string() : "git-ration";
  Result<Answer> answer = call({program, "export", name}, kSeconds, {.folder = base_});
  if (!answer) {
    Error error = std::move(answer).error();
    error.hint = "git-ration is built and installed together with ration: put it on PATH";
    return error;
  }
  if (!answer->ok())
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("git has no weights \"{}\": {}", name, first_line(answer->err)),
        .hint =
            "write git:REV:PATH with the path from the top of the repository, as "
            "git:v1:models/base.safetensors"};
  return read_weights(answer->out.substr(0, answer->out.find('\n')));
}

Result<WeightsCatalog::Entry> WeightsCatalog::read_points(const Path& path) const {
  if (!files_.exists(path))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no {}", path.string()),
                 .hint =
                     "name a list of points (docs/formats.md); a relative path starts at the "
                     "folder of the sweep file"};
  const Result<std::string> text = files_.read(path);
  if (!text) return text.error();
  const Result<run::PointList> list = run::parse_points(*text, path.string());
  if (!list) return list.error();
  if (Result<void> sound = check_list(files_, *list); !sound)
    return std::move(sound).error().with_context(path.string());
  return Entry{.setting = "sha256:" + sha256_hex(*text),
               .file = path.string(),
               .needs = run::runs_needed(*list),
               .corpora = list->corpora};
}

}  // namespace ration::scheduler
