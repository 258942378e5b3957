#include "train/worker.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "data/mixture/source.h"
#include "run/experts.h"
#include "run/mixture.h"
#include "run/steps.h"
#include "train/device/pack.h"
#include "train/memory.h"
#include "train/points_run.h"
#include "train/processes/group.h"
#include "train/training.h"

namespace ration::train {
namespace {

using run::WorkerExit;

WorkerOutcome failed(WorkerExit exit, Error error) {
  return {.exit = exit, .error = std::move(error)};
}

// The windows of both splits, after checking that the data are those that the run was defined on.
struct Prepared {
  Windows train;
  Windows val;
  std::vector<Windows> auxiliary = {};  // as spec.aux lists them
};

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

Result<void> check_identity(const data::Manifest& manifest,
                            const run::RunSpec& spec,
                            const Path& folder) {
  if (manifest.digest != spec.data_digest)
    return data_error(
        fmt::format("{} holds data with digest {}, the run was defined on {}",
                    folder.string(),
                    manifest.digest,
                    spec.data_digest),
        "prepare the same text with the same options again, or expand the sweep anew");
  if (spec.vocab < manifest.vocab)
    return data_error(
        fmt::format("the run's vocab {} is smaller than the data's {}", spec.vocab, manifest.vocab),
        "leave vocab out of the sweep: it is taken from the data");
  return {};
}

// The folders of execution.aux_data, with their manifests.
struct AuxFolder {
  Path path;
  data::Manifest manifest;
};

Result<std::vector<AuxFolder>> open_aux_folders(Files& files, std::string_view list) {
  std::vector<AuxFolder> folders;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    const Path path = std::string(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    Result<data::Manifest> manifest = data::read_manifest(files, path);
    if (!manifest) return std::move(manifest).error();
    folders.push_back({path, std::move(*manifest)});
  }
  return folders;
}

// Only routers of experts read it.
Origin origin_of(const run::RunSpec& spec,
                 const data::Manifest& manifest,
                 std::int64_t source,
                 bool heldout = false) {
  return {.source = source,
          .sources = run::reads_sources(spec) ? run::sources_of(spec) : 1,
          .end_token = manifest.end_token,
          .noise = spec.tag_noise,
          .seed = static_cast<std::uint64_t>(spec.seed),
          .heldout = heldout};
}

// The number of the source is its place in spec.aux, from 1 on.
Result<Windows> open_source(Files& files,
                            const run::AuxSource& source,
                            const std::vector<AuxFolder>& folders,
                            const data::Manifest& target,
                            const run::RunSpec& spec,
                            std::int64_t number) {
  const auto folder = std::find_if(folders.begin(), folders.end(), [&](const AuxFolder& each) {
    return each.manifest.digest == source.data_digest;
  });
  if (folder == folders.end())
    return data_error(fmt::format("no folder of aux_data holds auxiliary data with digest {}",
                                  source.data_digest),
                      "name its folder in aux_data, or expand the sweep anew");
  const data::Manifest& manifest = folder->manifest;
  if (manifest.vocab != target.vocab || manifest.end_token != target.end_token ||
      manifest.tokenizer_sha256 != target.tokenizer_sha256)
    return data_error(fmt::format("{} was tokenized otherwise than the main data ({} and {})",
                                  folder->path.string(),
                                  manifest.tokenizer,
                                  target.tokenizer),
                      "prepare it with the main data's tokenizer");
  Result<data::TokenPool> pool =
      data::TokenPool::open(files, folder->path, manifest, data::Split::train);
  if (!pool) return std::move(pool).error();
  if (Result<void> intact = pool->verify(); !intact) return std::move(intact).error();
  Result<std::vector<std::int32_t>> unique = data::unique_subset(
      *pool, source.unique_tokens, static_cast<std::uint64_t>(spec.subset_seed));
  if (!unique) return std::move(unique).error();
  Windows windows(std::move(*unique), spec.context, origin_of(spec, target, number));
  if (windows.count() == 0)
    return data_error(
        fmt::format("{} holds no window of {} + 1 tokens", folder->path.string(), spec.context),
        "use more text");
  return windows;
}

// The windows of each source of spec.aux, enough for the run under their caps.
Result<std::vector<Windows>> prepare_auxiliary(const run::RunFile& file,
                                               Files& files,
                                               const data::Manifest& target) {
  std::vector<Windows> windows;
  if (!run::has_aux(file.spec)) return windows;
  Result<std::vector<run::AuxSource>> sources = run::parse_aux(file.spec.aux);
  if (!sources) return std::move(sources).error();
  Result<std::vector<AuxFolder>> folders = open_aux_folders(files, file.execution.aux_data);
  if (!folders) return std::move(folders).error();
  const std::int64_t needed = run::AuxShare(file.spec).sequences(run::sequences_of(file.spec));
  std::int64_t available = 0;
  for (const run::AuxSource& source : *sources) {
    Result<Windows> opened =
        open_source(files, source, *folders, target, file.spec, 1 + std::ssize(windows));
    if (!opened) return std::move(opened).error();
    available += std::min(needed, data::capacity(opened->count(), source.max_epochs));
    windows.push_back(std::move(*opened));
  }
  if (available < needed)
    return data_error(
        fmt::format("the run takes {} auxiliary sequences, its sources give {} under max_epochs",
                    needed,
                    available),
        "raise max_epochs, or lower aux_share or tokens");
  return windows;
}

Result<Prepared> prepare(const run::RunFile& file, Files& files) {
  const Path folder = file.execution.data;
  const run::RunSpec& spec = file.spec;
  Result<data::Manifest> manifest = data::read_manifest(files, folder);
  if (!manifest) return std::move(manifest).error();
  if (Result<void> same = check_identity(*manifest, spec, folder); !same)
    return std::move(same).error();
  Result<data::TokenPool> train =
      data::TokenPool::open(files, folder, *manifest, data::Split::train);
  if (!train) return std::move(train).error();
  Result<data::TokenPool> val = data::TokenPool::open(files, folder, *manifest, data::Split::val);
  if (!val) return std::move(val).error();
  for (const data::TokenPool* pool : {&*train, &*val})
    if (Result<void> intact = pool->verify(); !intact) return std::move(intact).error();
  Result<std::vector<std::int32_t>> unique =
      data::unique_subset(*train, spec.unique_tokens, static_cast<std::uint64_t>(spec.subset_seed));
  if (!unique) return std::move(unique).error();

  const std::int64_t usable = data::usable_tokens(val->tokens(), spec.context);
  const std::int64_t wanted =
      spec.val_tokens == 0 ? usable : spec.val_tokens / spec.context * spec.context;
  if (wanted < spec.context || wanted > usable)
    return data_error(
        fmt::format("val_tokens {} cannot be taken from {} held-out tokens in windows of {}",
                    spec.val_tokens,
                    usable,
                    spec.context),
        "lower val_tokens (0 takes all), or hold out more text");
  std::vector<std::int32_t> heldout(static_cast<std::size_t>(wanted) + 1);
  val->copy(0, heldout);
  Prepared prepared{Windows(std::move(*unique), spec.context, origin_of(spec, *manifest, 0)),
                    Windows(std::move(heldout), spec.context, origin_of(spec, *manifest, 0, true))};
  if (prepared.train.count() == 0)
    return data_error(
        fmt::format(
            "{} unique tokens hold no window of {} + 1 tokens", spec.unique_tokens, spec.context),
        "use more text");
  Result<std::vector<Windows>> auxiliary = prepare_auxiliary(file, files, *manifest);
  if (!auxiliary) return std::move(auxiliary).error();
  prepared.auxiliary = std::move(*auxiliary);
  return prepared;
}

// The attempt to write below: the given one, or the next that can be claimed.
Result<int> claim(run::RunFolder& folder, const WorkerOptions& options) {
  if (options.attempt) return *options.attempt;
  while (true) {
    Result<std::optional<int>> claimed = folder.claim_attempt();
    if (!claimed) return std::move(claimed).error();
    if (*claimed) return **claimed;
  }
}

Result<std::unique_ptr<Group>> group_of(const run::RunFile& file, const WorkerOptions& options) {
  if (options.meeting == nullptr) return alone();
  return join(*options.meeting,
              {.timeout_seconds = 60 * file.execution.process_timeout_minutes,
               .on_gpu = device::is_on_gpu(file)});
}

// The attempt that all processes of the group write below, as the first of them found it; nothing
// when a higher one exists.
Result<std::optional<int>> agree_on_attempt(run::RunFolder& folder,
                                            const WorkerOptions& options,
                                            Group& group) {
  std::int64_t number = 0;
  if (group.leads()) {
    Result<int> attempt = claim(folder, options);
    if (!attempt) return std::move(attempt).error();
    Result<bool> overtaken = folder.fenced(*attempt);
    if (!overtaken) return std::move(overtaken).error();
    number = *overtaken ? 0 : *attempt;
  }
  number = group.share(number);
  return number == 0 ? std::optional<int>() : std::optional(static_cast<int>(number));
}

Error lost_others(const GroupLost& lost) {
  return {.kind = ErrorKind::resource,
          .what = lost.what(),
          .hint = "see what the others say; the run continues from its last checkpoint"};
}

// By one process, whatever its surroundings.
WorkerOutcome carry_out_points(run::RunFolder& folder,
                               const run::RunFile& file,
                               const WorkerOptions& options,
                               Surroundings& world) {
  if (file.execution.processes > 1 || (options.meeting != nullptr && options.meeting->size > 1))
    return failed(WorkerExit::usage,
                  {.kind = ErrorKind::usage,
                   .what = "points are evaluated by one process, and this run has several",
                   .hint = "set processes = 1; threads takes several cores"});
  Result<int> attempt = claim(folder, options);
  if (!attempt) return failed(WorkerExit::other, std::move(attempt).error());
  Result<WorkerExit> exit = evaluate_points(
      {.folder = folder, .file = file, .attempt = *attempt, .token = options.token}, world);
  if (exit) return {.exit = *exit};
  const ErrorKind kind = exit.error().kind;
  const bool data = kind == ErrorKind::input || kind == ErrorKind::usage;
  return failed(data ? WorkerExit::data : WorkerExit::other, std::move(exit).error());
}

WorkerOutcome carry_out(const WorkerOptions& options, Surroundings& world) {
  run::RunFolder folder(world.files, options.run_folder);
  Result<run::RunFile> file = folder.read_spec();
  if (!file) return failed(WorkerExit::usage, std::move(file).error());
  if (std::optional<WorkerOutcome> finished = outcome_of_finished(options.run_folder, world.files))
    return *std::move(finished);
  if (auto wrong = run::check_experts(file->spec, file->execution); !wrong.empty())
    return failed(WorkerExit::usage, std::move(wrong[0]));
  if (!file->spec.points.empty()) return carry_out_points(folder, *file, options, world);
  Result<Prepared> prepared = prepare(*file, world.files);
  if (!prepared) return failed(WorkerExit::data, std::move(prepared).error());
  Result<std::unique_ptr<Group>> group = group_of(*file, options);
  if (!group) return failed(WorkerExit::other, std::move(group).error());
  Result<std::optional<int>> attempt = agree_on_attempt(folder, options, **group);
  if (!attempt) return failed(WorkerExit::other, std::move(attempt).error());
  if (!*attempt) return {.exit = WorkerExit::fenced};
  if ((*group)->size() > 1 && file->spec.router_balance > 0)  // started by others than `processes`
    return failed(
        WorkerExit::usage,
        {.kind = ErrorKind::usage,
         .what = fmt::format("router_balance = {} compares all sequences of a step, which "
                             "several processes compute in parts",
                             file->spec.router_balance),
         .hint = "start one process, or set router_balance = 0"});
  if ((*group)->size() > 1 && run::is_online(file->spec))
    return failed(
        WorkerExit::usage,
        {.kind = ErrorKind::usage,
         .what = fmt::format("policy \"{}\" compares gradients that several processes would share",
                             file->spec.policy),
         .hint = "set processes = 1, or policy = \"fixed\""});
  if (file->spec.tune != "all" && run::reads_gradients(file->spec))
    return failed(
        WorkerExit::usage,
        {.kind = ErrorKind::usage,
         .what = fmt::format("policy \"{}\" compares gradients that tune = \"{}\" leaves out",
                             file->spec.policy,
                             file->spec.tune),
         .hint = "set tune = \"all\", or policy = \"fixed\""});
  const bool begins_elsewhere = !file->spec.branch_from.empty() || !file->spec.init.empty();
  Training training(world,
                    {.folder = folder,
                     .file = std::move(*file),
                     .attempt = **attempt,
                     .token = options.token,
                     .pack = options.pack,
                     .seated = options.seated,
                     .group = group->get()},
                    std::move(prepared->train),
                    std::move(prepared->val),
                    std::move(prepared->auxiliary));
  Result<WorkerExit> exit = training.run();
  if (exit) return {.exit = *exit};
  // What it begins with is its data.
  const bool data = begins_elsewhere && exit.error().kind == ErrorKind::input;
  return failed(data ? WorkerExit::data : WorkerExit::other, std::move(exit).error());
}

}  // namespace

std::optional<WorkerOutcome> outcome_of_finished(const Path& run_folder, Files& files) {
  Result<std::optional<Json>> result = run::RunFolder(files, run_folder).result();
  if (!result) return failed(WorkerExit::data, std::move(result).error());
  if (!*result) return std::nullopt;
  const Json& json = **result;
  if (!json.is_object() || !json.contains("status") || !json["status"].is_string())
    return failed(
        WorkerExit::data,
        data_error(fmt::format("{} holds no result", (run_folder / "result.json").string()),
                   "remove it, and the run continues from its last checkpoint"));
  return WorkerOutcome{.exit =
                           json["status"] == "diverged" ? WorkerExit::diverged : WorkerExit::done};
}

WorkerOutcome work(const WorkerOptions& options, Surroundings& world) {
  try {
    return carry_out(options, world);
  } catch (const GroupLost& lost) {
    return failed(WorkerExit::other, lost_others(lost));
  } catch (const std::exception& e) {  // LibTorch and the standard library throw
    if (is_out_of_memory(e))
      return failed(WorkerExit::out_of_memory,
                    {.kind = ErrorKind::resource,
                     .what = "out of memory",
                     .hint = "lower micro_batch_sequences, context or the model's size"});
    return failed(WorkerExit::other,
                  {.kind = ErrorKind::internal, .what = fmt::format("LibTorch: {}", e.what())});
  }
}

}  // namespace ration::train
