#include "cli/eval_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "cli/store_option.h"
#include "data/stats.h"
#include "run/folder.h"
#include "scheduler/weights_catalog.h"

namespace ration::cli {
namespace {

constexpr std::string_view kGit = "git:", kRun = "run:", kCheckpoint = "checkpoint-",
                           kAttempt = "attempt-";

Error no_checkpoint(const std::string& word) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("\"{}\" is no checkpoint", word),
          .hint =
              "name a run of --store, a run's or a checkpoint's folder, a safetensors file with "
              "--like RUN, or git:REV:PATH with --like RUN"};
}

std::optional<std::int64_t> number_behind(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return {};
  text.remove_prefix(prefix.size());
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

// Without a blank name behind a last slash.
Path plain(const std::string& word) {
  const Path path = std::filesystem::absolute(word).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// A run's folder, by its path or the beginning of its id.
Result<Path> run_folder(const Arguments& arguments, const std::string& word) {
  std::error_code ignored;
  if (std::filesystem::exists(plain(word) / "run.json", ignored)) return plain(word);
  const std::string id = word.starts_with(kRun) ? word.substr(kRun.size()) : word;
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<store::RunRow> row = store->find_run(id);
  if (!row) return std::move(row).error();
  return store->layout().run(row->run);
}

// The newest checkpoint's folder of all attempts, or that of a step.
Result<Path> checkpoint_in(const run::RunFolder& folder, std::optional<std::int64_t> step) {
  if (!step) {
    Result<std::optional<std::string>> last = folder.result_checkpoint();
    if (!last) return std::move(last).error();
    if (*last && !(*last)->empty()) return folder.path() / **last;
  }
  Result<std::vector<int>> attempts = folder.attempts();
  if (!attempts) return std::move(attempts).error();
  std::optional<std::pair<std::int64_t, Path>> best;
  for (const int attempt : *attempts) {
    Result<std::vector<std::string>> names = real_files().list(folder.attempt_path(attempt));
    if (!names) return std::move(names).error();
    for (const std::string& name : *names) {
      const auto of_name = number_behind(kCheckpoint, name);
      if (of_name && (!step || of_name == step) && (!best || *of_name >= best->first))
        best = {*of_name, folder.attempt_path(attempt) / name};
    }
  }
  if (best) return best->second;
  return Error{
      .kind = ErrorKind::input,
      .what = step ? fmt::format("run {} kept no checkpoint of step {}",
                                 folder.path().filename().string(),
                                 *step)
                   : fmt::format("run {} has no checkpoint", folder.path().filename().string()),
      .hint = "`keep_steps` keeps checkpoints of steps; `ration explain RUN` tells more"};
}

Result<AskedCheckpoint> in_run(const std::string& word,
                               const Path& run,
                               std::optional<std::int64_t> step,
                               std::optional<Path> checkpoint) {
  const run::RunFolder folder(real_files(), run);
  AskedCheckpoint asked{.name = word, .weights = {}, .like = {}, .run = {}, .run_id = {}};
  Result<run::RunFile> file = folder.read_spec();
  if (!file) return std::move(file).error();
  asked.run = *std::move(file);
  asked.run_id = asked.run.id;
  if (!checkpoint) {
    Result<Path> found = checkpoint_in(folder, step);
    if (!found) return std::move(found).error();
    checkpoint = *std::move(found);
  }
  asked.weights = *std::move(checkpoint);
  asked.step = number_behind(kCheckpoint, asked.weights.filename().string()).value_or(0);
  return asked;
}

Result<AskedCheckpoint> of_file(const Arguments& arguments,
                                const std::string& word,
                                const Path& weights) {
  const std::optional<std::string> like = arguments.text("like");
  if (!like)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} does not say which model its weights are of", word),
                 .hint = "add --like RUN, a run with the settings of that model"};
  Result<Path> run = run_folder(arguments, *like);
  if (!run) return std::move(run).error();
  Result<run::RunFile> file = run::RunFolder(real_files(), *run).read_spec();
  if (!file) return std::move(file).error();
  return AskedCheckpoint{
      .name = word, .weights = weights, .like = *run, .run = *std::move(file), .run_id = {}};
}

}  // namespace

Result<AskedCheckpoint> find_checkpoint(const Arguments& arguments, const std::string& word) {
  if (word.empty()) return no_checkpoint(word);
  if (word.starts_with(kGit)) {
    scheduler::WeightsCatalog catalog(real_files(), {});
    const Result<scheduler::WeightsCatalog::Entry>& entry =
        catalog.committed(word.substr(kGit.size()));
    if (!entry) return entry.error();
    return of_file(arguments, word, entry->file);
  }
  const Path path = plain(word);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    if (real_files().exists(path / "run.json")) return in_run(word, path, {}, {});
    const Path run = path.parent_path().parent_path();
    if (number_behind(kCheckpoint, path.filename().string()) &&
        number_behind(kAttempt, path.parent_path().filename().string()) &&
        real_files().exists(run / "run.json"))
      return in_run(word, run, {}, path);
    return of_file(arguments, word, path);
  }
  const std::size_t at = word.rfind('@');
  std::optional<std::int64_t> step;
  if (at != std::string::npos) {
    step = number_behind("@", std::string_view(word).substr(at));
    if (!step) return no_checkpoint(word);
  } else if (word.find('/') != std::string::npos || word.find('.') != std::string::npos) {
    return no_checkpoint(word);
  }
  Result<Path> run = run_folder(arguments, word.substr(0, at));
  if (!run) return std::move(run).error();
  return in_run(word, *run, step, {});
}

Result<AskedTokenizer> find_tokenizer(const Arguments& arguments,
                                      const AskedCheckpoint& checkpoint) {
  const std::optional<std::string> given = arguments.text("tokenizer");
  const Path folder = given ? Path(*given) : Path(checkpoint.run.execution.data);
  Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) {
    Error error = std::move(manifest).error();
    error.hint = "--tokenizer DIR names prepared data with the model's tokenizer";
    return error;
  }
  if (!given && manifest->digest != checkpoint.run.spec.data_digest)
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format(
            "{} holds other data than {} was trained on", folder.string(), checkpoint.name),
        .hint = "--tokenizer DIR names prepared data with the model's tokenizer"};
  if (manifest->vocab != checkpoint.run.spec.vocab)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} has a vocabulary of {} tokens, the model one of {}",
                                     folder.string(),
                                     manifest->vocab,
                                     checkpoint.run.spec.vocab),
                 .hint = "--tokenizer DIR names prepared data with the model's tokenizer"};
  Result<std::unique_ptr<data::Tokenizer>> tokenizer =
      data::tokenizer_of(real_files(), folder, *manifest);
  if (!tokenizer) return std::move(tokenizer).error();
  return AskedTokenizer{*std::move(manifest), *std::move(tokenizer)};
}

std::vector<Option> checkpoint_options() {
  return {{.name = "checkpoint",
           .value = "CK",
           .help = "Whose weights: a run of --store or its folder (the checkpoint of its result, "
                   "else its newest), RUN@STEP, a checkpoint's folder, a safetensors file or "
                   "git:REV:PATH (both with --like). Required."},
          {.name = "like",
           .value = "RUN",
           .help = "The run whose model settings a file of weights has."},
          {.name = "tokenizer",
           .value = "DIR",
           .help = "Prepared data with the model's tokenizer; the run's own unless given."},
          store_option(),
          {.name = "trainer",
           .value = "PROGRAM",
           .help = "The worker's program; RATION_TRAINER_PROGRAM, or ration-train beside this "
                   "program or on PATH unless given."}};
}

}  // namespace ration::cli
