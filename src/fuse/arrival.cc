// A trained model becomes a contribution, the faults of experiments included.

#include <fmt/format.h>

#include <set>

#include "base/random.h"
#include "fuse/folder.h"
#include "fuse/measure.h"
#include "fuse/rounds.h"

namespace ration::fuse {
namespace {

std::uint64_t epoch_of(std::int64_t round, std::size_t contributor) {
  return mix(static_cast<std::uint64_t>(round)) ^ contributor;
}

Result<void> alter(const Context& context,
                   const Task& task,
                   const Fault& fault,
                   const Path& model,
                   const Path& to) {
  if (fault.kind == Fault::Kind::random) {
    Result<double> norm =
        sound_norm(context.files, task.base_file, model, task.contributor->id, context.threads);
    if (!norm) return std::move(norm).error();
    return random_tau(context.files, task.base_file, *norm * fault.value, task.seed, to);
  }
  const double factor = fault.kind == Fault::Kind::flip ? -1 : fault.value;
  return scale_tau(context.files, task.base_file, model, factor, to, context.threads);
}

}  // namespace

std::uint64_t seed_of(const Config& config, std::int64_t round, std::size_t contributor) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << 53) - 1;  // whole in a double
  return Stream(config.seed, StreamId::contributors, epoch_of(round, contributor)).next() & kMask;
}

Task task_of(const Context& context,
             std::size_t place,
             std::int64_t round,
             const std::string& base) {
  return {.contributor = &context.config.contributors[place],
          .round = round,
          .base = base,
          .base_file = base_file(context.folder, base),
          .seed = seed_of(context.config, round, place)};
}

const Fault* fault_of(const Config& config, const std::string& contributor) {
  auto found = config.faults.find(contributor);
  if (found == config.faults.end()) found = config.faults.find("*");
  return found == config.faults.end() ? nullptr : &found->second;
}

std::vector<std::string> altered_in(const Config& config, const RoundRecord& record) {
  std::set<std::string> altered;
  for (const Contribution& each : record.contributions) {
    const Fault* const fault = fault_of(config, each.contributor);
    const bool trained_here = !each.run.empty();
    if (trained_here && fault != nullptr && fault->kind != Fault::Kind::fail)
      altered.insert(each.contributor);
  }
  std::vector<std::string> lines;
  for (const std::string& id : altered)
    lines.push_back(fmt::format("the contributions of {} are altered, as the experiment asks", id));
  return lines;
}

bool fails(const Config& config, std::int64_t round, std::size_t place) {
  const Fault* const fault = fault_of(config, config.contributors[place].id);
  if (fault == nullptr || fault->kind != Fault::Kind::fail) return false;
  return Stream(config.seed, StreamId::faults, epoch_of(round, place)).uniform() < fault->value;
}

Result<Contribution> arrival_of(const Context& context, const Task& task, const Trained& trained) {
  Contribution contribution = unmeasured();
  contribution.contributor = task.contributor->id;
  contribution.trained_from = task.base;
  contribution.run = trained.run;
  contribution.tokens = trained.tokens;
  contribution.loss = trained.loss;
  const Fault* const fault = fault_of(context.config, task.contributor->id);
  if (fault == nullptr || fault->kind == Fault::Kind::fail) {
    Result<std::string> sha256 = sha256_of(context.files, trained.model);
    if (!sha256) return std::move(sha256).error();
    contribution.sha256 = *sha256;
    contribution.file = trained.model;
    return contribution;
  }
  const Path altered =
      work_folder(context.folder) / (task.contributor->id + ".altered.safetensors");
  if (Result<void> done = alter(context, task, *fault, trained.model, altered); !done)
    return std::move(done).error();
  Result<std::string> kept = keep(context.files, altered, context.folder / "contributions");
  if (!kept) return std::move(kept).error();
  contribution.sha256 = *kept;
  contribution.file = contribution_file(context.folder, *kept);
  return contribution;
}

}  // namespace ration::fuse
