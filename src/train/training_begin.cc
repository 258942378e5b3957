// How an attempt begins: what it continues from, what is said of it, and what the processes of a
// group are told.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/process.h"
#include "train/cpu/product.h"
#include "train/first_weights.h"
#include "train/memory.h"
#include "train/training.h"

namespace ration::train {
namespace {

// What the newest earlier attempt took that got as far as to say so.
std::optional<ProductsChoice> earlier_products(Files& files,
                                               const run::RunFolder& folder,
                                               int attempt) {
  constexpr std::uint64_t kFirstLine = 64U << 10;
  for (int number = attempt - 1; number > 0; --number) {
    if (!files.exists(folder.events_path(number))) continue;
    const auto batch = run::read_events(files, folder.events_path(number), 0, 0, kFirstLine);
    if (!batch || batch->events.empty()) continue;
    const Json said = batch->events[0].values.value("products", Json());
    if (!said.is_object()) continue;
    if (const auto taken = products_named(said.value("chosen", std::string())))
      return ProductsChoice{.products = *taken, .by = fmt::format("attempt {}", number)};
  }
  return std::nullopt;
}

// The first setting that a branch may not have changed; empty when there is none.
std::string difference_from_trunk(const run::RunSpec& branch, run::RunSpec trunk) {
  trunk.tokens = branch.tokens, trunk.val_tokens = branch.val_tokens;
  trunk.schedule = branch.schedule, trunk.warmup_fraction = branch.warmup_fraction;
  trunk.decay_fraction = branch.decay_fraction;
  trunk.final_lr_fraction = branch.final_lr_fraction;
  trunk.branch_from = branch.branch_from, trunk.branch_step = branch.branch_step;
  if (trunk == branch) return "";
  const Json of_trunk = run::to_json(trunk), of_branch = run::to_json(branch);
  for (const auto& [name, value] : of_branch.items())
    if (of_trunk.value(name, Json()) != value) return name;
  return "a setting";
}

}  // namespace

// Opens the log, says what runs where, and continues from the newest checkpoint there is.
Result<void> Training::begin() {
  data_ = std::make_unique<TrainingData>(
      train_windows_, static_cast<std::uint64_t>(spec_.seed), data::SchedulePosition{});
  if (!group_.leads()) {
    if (Result<void> done = take_from_leader(); !done) return done;
    model_.passes().use(static_cast<Products>(group_.share(std::int64_t{0})));
    return {};
  }
  Result<Found> found = find_state();
  if (!found) return std::move(found).error();
  give_to_others(found->state);
  choose_products(*found);
  if (Result<void> done = say_what_runs(*found); !done) return done;
  if (found->state.is_null()) return {};
  if (Result<void> done = go_on_from(found->state); !done) return done;
  return emit(run::EventType::resume, std::move(found->where));
}

// Loads the newest checkpoint of the run, or what a branch or a run with `init` begins with.
Result<Training::Found> Training::find_state() {
  Found found;
  Result<std::optional<FoundCheckpoint>> own =
      checkpoints_.load_newest(run_.attempt, model_.parameters(), optimiser_, found.broken);
  if (!own) return std::move(own).error();
  if (*own) {
    found.where = {{"from_attempt", (*own)->attempt}, {"from_step", (*own)->step}};
    found.state = std::move((*own)->progress);
  } else if (!spec_.branch_from.empty()) {
    Result<Found> trunk = trunk_state();
    if (!trunk) return trunk;
    trunk->broken = std::move(found.broken);
    return trunk;
  } else if (!spec_.init.empty()) {
    Result<Json> from =
        load_first_weights(world_.files, run_.folder, run_.file, model_.parameters());
    if (!from) return std::move(from).error();
    found.first_weights = std::move(*from);
  }
  return found;
}

Result<Training::Found> Training::trunk_state() {
  const run::RunFolder trunk(world_.files, run_.folder.beside(spec_.branch_from));
  Result<run::RunFile> file = trunk.read_spec();
  if (!file) return std::move(file).error().with_context("the run that this one branches from");
  if (const std::string other = difference_from_trunk(spec_, file->spec); !other.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format(
                     "{} differs from that of the run branched from, {}", other, spec_.branch_from),
                 .hint =
                     "a branch may have tokens, val_tokens and a schedule of its own, all else "
                     "is the trunk's"};
  CheckpointFolder checkpoints(world_.files, trunk, spec_.branch_from);
  constexpr int kAnyAttempt = std::numeric_limits<int>::max();
  Result<FoundCheckpoint> from =
      checkpoints.load_step(kAnyAttempt, spec_.branch_step, model_.parameters(), optimiser_);
  if (!from) return std::move(from).error();
  if (progress_from(from->progress.at("run")).windows >= total_windows_)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("a branch of {} tokens ends before step {}, where it begins",
                                     spec_.tokens,
                                     spec_.branch_step),
                 .hint = "raise tokens, or branch earlier"};
  return Found{.state = std::move(from->progress),
               .where = {{"from_run", spec_.branch_from},
                         {"from_attempt", from->attempt},
                         {"from_step", from->step}}};
}

// What was taken before is taken again: in the checkpoint's run, or by an attempt that left none.
void Training::choose_products(const Found& found) {
  const auto set = [&](Products products, std::string by) {
    products_ = {.products = products, .by = std::move(by)};
    model_.passes().use(products);
  };
  const auto recorded = products_named(
      found.state.is_object() ? found.state.value("products", std::string()) : std::string());
  const auto earlier = earlier_products(world_.files, run_.folder, run_.attempt);
  if (const auto asked = products_named(run_.file.execution.products))
    set(*asked, "setting");
  else if (recorded)
    set(*recorded, "checkpoint");
  else if (earlier)
    set(earlier->products, earlier->by);
  else if (device::needs_no_device(run_.file) && run_.pack == nullptr) {
    const std::int64_t sequences = std::min(spec_.batch_sequences, total_windows_);
    std::vector<std::uint32_t> some(static_cast<std::size_t>(sequences));
    for (std::size_t i = 0; i < some.size(); ++i)
      some[i] = static_cast<std::uint32_t>(i % static_cast<std::size_t>(train_windows_.count()));
    const Batch batch = train_windows_.batch(some);
    const std::int64_t own = std::max<std::int64_t>(1, share_of(sequences, group_).count);
    products_ =
        measure_products(spec_,
                         model_.passes(),
                         batch,
                         sequences_at_once(spec_,
                                           micro_batch_ > 0 ? std::min(micro_batch_, own) : own,
                                           spec_.context,
                                           run_.file.execution.threads),
                         steps_);
  } else {
    set(usual_products(), "rule");
  }
  group_.share(static_cast<std::int64_t>(products_.products));
}

Result<void> Training::say_what_runs(const Found& found) {
  Result<std::unique_ptr<AppendFile>> file =
      world_.files.open_append(run_.folder.events_path(run_.attempt));
  if (!file) return std::move(file).error();
  log_ = std::make_unique<run::EventWriter>(std::move(*file), 0);
  const std::string_view way = run_.pack == nullptr ? group_.size() > 1 ? "processes" : "alone"
                               : run_.pack->way() == device::Pack::Way::packed ? "packed"
                                                                               : "side by side";
  Json about = {{"run", run_.file.id},
                {"attempt", run_.attempt},
                {"token", run_.token},
                {"host", host_name()},
                {"pid", getpid()},
                {"threads", run_.file.execution.threads},
                {"processes", group_.size()},
                {"way", way},
                {"torch", TORCH_VERSION},
                {"numerics", run::kNumericsVersion},
                {"device", device::is_on_gpu(run_.file) ? "cuda" : "cpu"},
                {"kernels", cpu::vectors()},
                {"products", products_.to_json()},
                {"steps", steps_},
                {"windows", data_->windows()},
                {"val_tokens", val_tokens_},
                {"params", param_counts(spec_)},
                {"flops_per_token", flops_per_token(spec_)}};
  if (!found.first_weights.is_null()) about["init"] = found.first_weights;
  if (run_.pack != nullptr && !run_.pack->measured().is_null())
    about["ways"] = run_.pack->measured();
  if (Result<void> done = emit(run::EventType::start, std::move(about), true); !done) return done;
  for (const std::string& why : found.broken)
    if (Result<void> done =
            emit(run::EventType::skip, {{"reason", "broken checkpoint"}, {"detail", why}});
        !done)
      return done;
  return {};
}

// Checkpoints are read by one process, and reach the others by way of the group: the folder may be
// out of their sight, or change under their eyes.
void Training::give_to_others(const Json& state) {
  if (group_.size() == 1) return;
  group_.share(state.dump());
  share_weights();
}

Result<void> Training::take_from_leader() {
  const std::string text = group_.share(std::string());
  share_weights();
  Result<Json> state = parse_json(text, "the leader's progress");
  if (!state) return std::move(state).error();
  return state->is_null() ? Result<void>() : go_on_from(*state);
}

void Training::share_weights() {
  group_.share(model_.parameters().values().detach());
  group_.share(optimiser_.first_moment());
  group_.share(optimiser_.second_moment());
}

// Everything but weights and moments, which are loaded.
Result<void> Training::go_on_from(const Json& state) {
  progress_ = progress_from(state.at("run"));
  guard_.restore(state.at("guard"));
  optimiser_.set_updates(progress_.updates);
  const data::SchedulePosition position{.epoch = state.at("epoch"), .index = state.at("index")};
  data_ = std::make_unique<TrainingData>(
      train_windows_, static_cast<std::uint64_t>(spec_.seed), position);
  if (!auxiliary_.none()) auxiliary_.load(state.at("auxiliary"));
  policy_time_ = PolicyTime::from(state.value("policy_time", Json::object()));
  const std::int64_t asked_for = run_.file.execution.micro_batch_sequences;
  micro_batch_ = progress_.micro_batch == 0 ? asked_for
                 : asked_for == 0           ? progress_.micro_batch
                                            : std::min(asked_for, progress_.micro_batch);
  return {};
}

}  // namespace ration::train
