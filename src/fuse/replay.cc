#include <fmt/format.h>

#include "fuse/folder.h"
#include "fuse/judge.h"
#include "fuse/lock.h"
#include "fuse/rounds.h"

namespace ration::fuse {
namespace {

// The bases of a round are what their names say, and so is its velocity.
Result<void> check_bases(Files& files, const Path& folder, const RoundRecord& record) {
  for (const std::string& base : {record.base, record.next})
    if (Result<void> sound = check_digest(files, base_file(folder, base), base); !sound)
      return sound;
  return record.velocity.empty()
             ? Result<void>()
             : check_digest(files, velocity_file(folder, record.velocity), record.velocity);
}

// The contributions of a round are still those that were fused.
Result<void> check_files(Files& files, const RoundRecord& record) {
  for (const Contribution& each : record.contributions) {
    if (each.verdict != Verdict::accepted) continue;
    const auto refused = [&](const char* what) {
      return Error{
          .kind = ErrorKind::input,
          .what = fmt::format(
              "round {}: {} of {} {}", record.round, each.file.string(), each.contributor, what),
          .hint = "restore it from a copy; without it the round cannot be made again"};
    };
    if (!files.exists(each.file)) return refused("is gone");
    Result<std::string> now = sha256_of(files, each.file);
    if (!now) return std::move(now).error();
    if (*now != each.sha256) return refused("is another file than the one that was fused");
  }
  return {};
}

Result<void> replay_sync(const Context& context,
                         const RoundRecord& record,
                         const std::string& velocity,
                         const Path& work,
                         std::vector<Replayed>& all) {
  if (record.status != RoundStatus::fused) return {};
  Result<Stepped> stepped =
      fuse_step(context.files, step_of(context, record, velocity), work, context.threads);
  if (!stepped) return std::move(stepped).error();
  Result<std::string> now = sha256_of(context.files, stepped->model);
  if (!now) return std::move(now).error();
  all.push_back({.round = record.round, .contributor = "", .before = record.next, .now = *now});
  return {};
}

Result<void> replay_async(const Context& context,
                          const RoundRecord& record,
                          const Path& work,
                          std::vector<Replayed>& all) {
  std::string current = record.base;
  for (const Contribution& each : record.contributions) {
    if (each.verdict != Verdict::accepted) continue;
    Result<Path> made = effective(context.files,
                                  part_of(context, each, record.eta),
                                  base_file(context.folder, current),
                                  work,
                                  context.threads);
    if (!made) return std::move(made).error();
    Result<std::string> now = sha256_of(context.files, *made);
    if (!now) return std::move(now).error();
    all.push_back(
        {.round = record.round, .contributor = each.contributor, .before = each.made, .now = *now});
    current = each.made;
  }
  return {};
}

}  // namespace

Result<std::vector<Replayed>> replay(Files& files, const Path& given, int threads) {
  const Path folder = std::filesystem::absolute(given).lexically_normal();
  Result<Identity> identity = read_identity(files, folder);
  if (!identity) return std::move(identity).error();
  Result<Lock> lock = Lock::take(folder);
  if (!lock) return std::move(lock).error();
  Result<std::vector<RoundRecord>> rounds = rounds_of(files, folder, identity->base);
  if (!rounds) return std::move(rounds).error();
  const Hands nobody;
  const Context context{.config = identity->config,
                        .hands = nobody,
                        .files = files,
                        .threads = threads,
                        .folder = folder};
  const Path work = folder / "replay";
  if (Result<void> made = files.make_folders(work); !made) return std::move(made).error();
  std::vector<Replayed> all;
  std::string velocity;
  Result<void> done;
  for (const RoundRecord& record : *rounds) {
    done = check_bases(files, folder, record);
    if (done) done = check_files(files, record);
    if (done)
      done = identity->config.mode == Mode::sync ? replay_sync(context, record, velocity, work, all)
                                                 : replay_async(context, record, work, all);
    if (!done) break;
    velocity = record.velocity;
  }
  const Result<void> removed = files.remove_all(work);
  if (!done) return std::move(done).error();
  if (!removed) return removed.error();
  return all;
}

}  // namespace ration::fuse
