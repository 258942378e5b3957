#include "train/named_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "run/experts.h"
#include "run/mixture.h"
#include "train/setting_words.h"

namespace ration::train {
namespace {

Error problem(ErrorKind kind, std::string what, std::string hint) {
  return {.kind = kind, .what = std::move(what), .hint = std::move(hint)};
}

Error data_error(std::string what, std::string hint) {
  return problem(ErrorKind::input, std::move(what), std::move(hint));
}

}  // namespace

Result<NamedCheckpoint> find_checkpoint(Files& files, const Path& given) {
  Path path = std::filesystem::absolute(given).lexically_normal();
  if (!path.has_filename() || path.filename() == "run.json") path = path.parent_path();
  if (files.exists(path / "run.json")) return NamedCheckpoint{.run = path, .checkpoint = {}};
  const std::optional<CheckpointName> name = checkpoint_name(path);
  const Path run = path.parent_path().parent_path();
  if (name && files.exists(run / "run.json"))
    return NamedCheckpoint{.run = run, .checkpoint = name};
  return problem(ErrorKind::usage,
                 fmt::format("{} is neither a run folder nor a checkpoint in one", given.string()),
                 "give a folder that holds run.json, or its attempt-<n>/checkpoint-<step>");
}

Result<run::RunFile> read_run(Files& files,
                              const Path& folder,
                              std::span<const std::string> settings) {
  Result<run::RunFile> file = run::RunFolder(files, folder).read_spec();
  if (!file) return file;
  for (const std::string& setting : settings) {
    if (!is_execution_setting(name_of_setting(setting)))
      return problem(ErrorKind::usage,
                     fmt::format("{} is no execution setting", name_of_setting(setting)),
                     "device, threads, products, micro_batch_sequences, data and aux_data can be "
                     "set; --statistics and --experts take sequences, --score and --pairs source");
    if (Result<void> done = apply_setting(setting, *file); !done) return std::move(done).error();
  }
  if (std::optional<Error> wrong = run::check_device(file->spec, file->execution))
    return std::move(*wrong);
  return file;
}

Result<void> check_tokenizer(Files& files,
                             const Path& folder,
                             const data::Manifest& manifest,
                             const run::RunFile& file) {
  if (manifest.digest == file.spec.data_digest) return {};
  const auto sources = run::parse_aux(file.spec.aux);
  if (sources && std::any_of(sources->begin(), sources->end(), [&](const run::AuxSource& source) {
        return source.data_digest == manifest.digest;
      }))
    return {};
  const Path own = file.execution.data;
  const std::string hint = "prepare it with the tokenizer of the run's data";
  if (manifest.vocab > file.spec.vocab)
    return data_error(fmt::format("{} has a vocabulary of {} tokens, the run's model one of {}",
                                  folder.string(),
                                  manifest.vocab,
                                  file.spec.vocab),
                      hint);
  Result<data::Manifest> of_run = data::read_manifest(files, own);
  if (!of_run || of_run->digest != file.spec.data_digest)
    return data_error(
        fmt::format("the tokenizer of {} cannot be compared with that of the run's data, which {} "
                    "does not hold",
                    folder.string(),
                    own.string()),
        "say where they lie: data=FOLDER");
  if (manifest.vocab != of_run->vocab || manifest.end_token != of_run->end_token ||
      manifest.tokenizer_sha256 != of_run->tokenizer_sha256)
    return data_error(fmt::format("{} was tokenized otherwise than the run's data in {} ({} of {} "
                                  "tokens and {} of {})",
                                  folder.string(),
                                  own.string(),
                                  manifest.tokenizer,
                                  manifest.vocab,
                                  of_run->tokenizer,
                                  of_run->vocab),
                      hint);
  return {};
}

Result<TrainingText> open_training_text(Files& files,
                                        const Path& folder,
                                        const run::RunFile& file) {
  Result<data::Manifest> manifest = data::read_manifest(files, folder);
  if (!manifest) return std::move(manifest).error();
  if (Result<void> same = check_tokenizer(files, folder, *manifest, file); !same)
    return std::move(same).error();
  Result<data::TokenPool> pool =
      data::TokenPool::open(files, folder, *manifest, data::Split::train);
  if (!pool) return std::move(pool).error();
  if (Result<void> intact = pool->verify(); !intact) return std::move(intact).error();
  return TrainingText{.manifest = std::move(*manifest), .pool = std::move(*pool)};
}

Result<FoundCheckpoint> load_weights(Files& files,
                                     const NamedCheckpoint& named,
                                     const run::RunFile& file,
                                     Parameters& parameters,
                                     const std::function<void(const std::string&)>& say) {
  const run::RunFolder folder(files, named.run);
  const CheckpointFolder checkpoints(files, folder, file.id);
  std::optional<CheckpointName> exactly = named.checkpoint;
  if (!exactly) {
    const Result<std::optional<std::string>> last = folder.result_checkpoint();
    if (!last) return last.error();
    if (*last) exactly = checkpoint_name(**last);
  }
  if (exactly) return checkpoints.load_weights(exactly->attempt, exactly->step, parameters);
  std::vector<std::string> broken;
  Result<std::optional<FoundCheckpoint>> newest =
      checkpoints.load_newest_weights(parameters, broken);
  if (!newest) return std::move(newest).error();
  for (const std::string& why : broken) say(fmt::format("passed over {}", why));
  if (*newest) return **std::move(newest);
  return data_error(fmt::format("run {} has no checkpoint", named.run.string()),
                    "wait until it has made one (checkpoint_minutes), or carry it out first");
}

Products products_of(const run::RunFile& file, const FoundCheckpoint& found) {
  const auto asked = products_named(file.execution.products);
  const auto recorded = products_named(found.progress.value("products", std::string()));
  return asked ? *asked : recorded.value_or(usual_products());
}

}  // namespace ration::train
