#include "cli/lineage.h"

#include <fmt/format.h>

#include "data/manifest.h"
#include "run/architecture.h"
#include "run/folder.h"
#include "run/weights.h"

namespace ration::cli {
namespace {

struct Origin {
  std::string model;  // as the user named it
  Path folder;        // of the run
  run::RunFile file;
};

// The run whose weights a path holds: it lies at most three levels above the file.
std::optional<Origin> origin_of(Files& files, const std::string& model) {
  constexpr int kLevels = 3;  // run/attempt-1/checkpoint-8/model.safetensors
  Path folder = std::filesystem::absolute(model).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // of "run/"
  for (int level = 0; level <= kLevels; ++level, folder = folder.parent_path()) {
    const run::RunFolder run(files, folder);
    if (!files.exists(run.spec_path())) continue;
    Result<run::RunFile> file = run.read_spec();
    if (!file) return std::nullopt;
    return Origin{model, folder, std::move(*file)};
  }
  return std::nullopt;
}

// Empty where the data of one of them is gone.
std::string other_tokenizer(Files& files, const Origin& a, const Origin& b) {
  const Result<data::Manifest> one = data::read_manifest(files, a.file.execution.data);
  const Result<data::Manifest> two = data::read_manifest(files, b.file.execution.data);
  if (!one || !two || one->tokenizer_sha256 == two->tokenizer_sha256) return {};
  return fmt::format("tokenizer ({} and {})", one->tokenizer, two->tokenizer);
}

std::string differences(Files& files, const Origin& a, const Origin& b) {
  const std::string other = run::architecture_differences(a.file.spec, b.file.spec);
  return other.empty() ? other_tokenizer(files, a, b) : other;
}

// What a model began with instead of the base; empty where it began with the base, or where that
// cannot be known.
std::string other_beginning(Files& files, const Origin& model, const Origin& base) {
  constexpr int kMost = 10'000;  // runs cannot form a circle, damaged files could
  Path folder = model.folder;
  run::RunFile file = model.file;
  for (int i = 0; i < kMost; ++i) {
    if (file.id == base.file.id) return {};
    if (file.spec.init.empty())
      return fmt::format("with drawn weights (run {})", file.id.substr(0, 12));
    const Result<run::Weights> start = run::parse_weights(file.spec.init);
    if (!start || start->run.empty()) return {};  // a file: whose, nobody knows
    const Path next = run::RunFolder(files, folder).beside(start->run);
    Result<run::RunFile> parent = run::RunFolder(files, next).read_spec();
    if (!parent) return {};
    folder = next;
    file = std::move(*parent);
  }
  return {};
}

}  // namespace

Result<void> check_lineage(Files& files,
                           const std::optional<std::string>& base,
                           const std::vector<std::string>& models) {
  const std::optional<Origin> start = base ? origin_of(files, *base) : std::nullopt;
  std::optional<Origin> first = start;
  std::vector<Error> problems;
  for (const std::string& name : models) {
    std::optional<Origin> model = origin_of(files, name);
    if (!model) continue;
    if (!first) {
      first = std::move(model);
      continue;
    }
    if (const std::string other = differences(files, *first, *model); !other.empty())
      problems.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("{} and {} are models of two kinds: {}", first->model, name, other),
           .hint = "join runs of the same model settings and tokenizer"});
    else if (!start)
      continue;
    else if (const std::string began = other_beginning(files, *model, *start); !began.empty())
      problems.push_back(
          {.kind = ErrorKind::input,
           .what = fmt::format("{} did not begin with the base {}, but {}", name, *base, began),
           .hint =
               "name as --base the run that all models began with (a copy of a file outside its "
               "run folder is taken as it is)"});
  }
  if (problems.empty()) return {};
  return combine(std::move(problems), "these models do not belong together");
}

}  // namespace ration::cli
