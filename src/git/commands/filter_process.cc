#include "git/filter_process.h"

#include <fmt/format.h>
#include <unistd.h>

#include "git/commands.h"
#include "git/filter.h"
#include "git/remote.h"
#include "git/transfer.h"

namespace ration::git {
namespace {

using cli::Arguments;

// Gets what a checkout lacks from the place that ration.remote names; nothing without one.
FetchMissing fetch_from_remote(const Repository& repository) {
  if (repository.settings().remote.empty()) return {};
  return [&repository, remote = std::shared_ptr<Remote>(), failed = false](
             std::span<const versions::Manifest> manifests) mutable -> Result<void> {
    // A remote that did not answer once is not asked for every further file.
    if (failed) return {};
    failed = true;
    if (!remote) {
      Result<std::unique_ptr<Remote>> opened =
          open_remote(repository, usual_remote(repository), Way::fetch);
      if (!opened) return std::move(opened).error();
      remote = std::move(*opened);
    }
    Result<Fetched> fetched = fetch_objects(repository.store(), *remote, manifests);
    if (!fetched) return std::move(fetched).error();
    failed = false;
    return {};
  };
}

Result<int> run_filter_process(const Arguments& arguments) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  RationFilter filter(*repository, arguments.console, fetch_from_remote(*repository));
  PacketReader from_git(reader_of(STDIN_FILENO));
  PacketWriter to_git(writer_of(STDOUT_FILENO));
  const FilterStreams streams{
      .from_git = from_git,
      .to_git = to_git,
      .spool_folder = repository->store_folder() / "tmp",
      .say = [&](const Error& error) { arguments.console.print_error(error.describe()); }};
  if (Result<void> done = serve(filter, streams); !done) return std::move(done).error();
  return 0;
}

}  // namespace

cli::Command filter_process_command() {
  return {.name = "filter-process",
          .summary = "Turn checkpoints into manifests and back, as git asks (git starts this)",
          .description =
              "git starts it as filter.ration.process, which `git ration install` sets, and talks "
              "to it on\nstdin and stdout.",
          .execute = run_filter_process};
}

}  // namespace ration::git
