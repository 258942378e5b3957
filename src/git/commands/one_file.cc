// The filter for one file on stdin and stdout, for programs that speak no protocol of filters.

#include <unistd.h>

#include "git/commands.h"
#include "git/filter.h"
#include "git/pkt_line.h"

namespace ration::git {
namespace {

using cli::Arguments;

Result<void> take_stdin(Spool& content) {
  const ReadBytes read = reader_of(STDIN_FILENO);
  std::vector<char> piece(std::size_t{1} << 18);
  for (;;) {
    Result<std::size_t> got = read(piece);
    if (!got) return std::move(got).error();
    if (*got == 0) return {};
    if (Result<void> done = content.append({piece.data(), *got}); !done) return done;
  }
}

enum class Way { clean, smudge };

Result<int> run(const Arguments& arguments, Way way) {
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const std::string& path = arguments.positional[0];
  RationFilter filter(*repository, arguments.console);
  Spool content(repository->store_folder() / "tmp");
  if (Result<void> done = take_stdin(content); !done) return std::move(done).error();
  const WriteBytes write = writer_of(STDOUT_FILENO);
  Result<void> done;
  if (way == Way::clean) {
    Result<std::string> text = filter.clean(path, content);
    done = text ? write(*text) : std::move(text).error();
  } else {
    done = filter.smudge(path, content, [&](std::span<const std::byte> bytes) {
      return write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    });
  }
  if (!done) return std::move(done).error().with_context(path);
  return 0;
}

cli::Command command(std::string name, std::string summary, Way way) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .arguments = "PATH",
          .min_arguments = 1,
          .max_arguments = 1,
          .description =
              "As filter.ration.clean and filter.ration.smudge, for programs that do not know "
              "filter.ration.process.\nPATH is the file's place below the top of the work tree.",
          .execute = [way](const Arguments& arguments) { return run(arguments, way); }};
}

}  // namespace

cli::Command clean_command() {
  return command("clean", "Turn a checkpoint on stdin into its manifest", Way::clean);
}

cli::Command smudge_command() {
  return command("smudge", "Turn a manifest on stdin into its checkpoint", Way::smudge);
}

}  // namespace ration::git
