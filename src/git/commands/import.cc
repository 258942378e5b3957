#include "git/import.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/terminal_text.h"
#include "git/commands.h"

namespace ration::git {
namespace {

using cli::Arguments;

std::string bytes_text(std::uint64_t bytes) {
  return format_quantity(static_cast<double>(bytes), "B");
}

ImportOptions options_of(const Arguments& arguments) {
  return {.patterns = arguments.positional,
          .refs = arguments.all("ref"),
          .everything = arguments.flag("everything"),
          .dry_run = arguments.flag("dry-run"),
          .skip_missing = arguments.flag("skip-missing"),
          .force = arguments.flag("force")};
}

ImportProgress shown(const cli::Console& console) {
  return [&console](std::uint64_t done, std::uint64_t total, const std::string& path) {
    if (console.live)
      console.progress(cli::without_control_bytes(
          fmt::format("import: version {} of {}, {}", done + 1, total, path)));
  };
}

Json to_json(const ImportReport& report) {
  Json refs = Json::array();
  for (const ImportedRef& ref : report.refs) refs.push_back(ref.name);
  Json missing = Json::array();
  for (const OldContent& content : report.missing)
    missing.push_back(
        {{"path", content.path}, {"sha256", content.pointer.oid}, {"bytes", content.bytes}});
  const auto sum = [](const ContentSum& content) {
    return Json{{"versions", content.contents}, {"bytes", content.bytes}};
  };
  return Json{{"schema", "ration.git-import/1"},
              {"rewritten", report.rewritten},
              {"refs", refs},
              {"commits", report.commits},
              {"files", report.files},
              {"plain", sum(report.plain)},
              {"lfs", sum(report.pointers)},
              {"missing", missing},
              {"already", report.manifests},
              {"signatures", report.signatures},
              {"objects", report.new_objects},
              {"object_bytes", report.new_bytes},
              {"other_branches", report.others}};
}

std::string text_of(const ImportReport& report) {
  std::string text = fmt::format(
      "{} of {} on {}: {} plain ({}), {} of git-lfs ({}), {} as they shall be\n",
      counted(report.files, "file"),
      counted(report.commits, "commit"),
      report.refs.size() == 1 ? report.refs.front().name : counted(report.refs.size(), "ref"),
      counted(report.plain.contents, "version"),
      bytes_text(report.plain.bytes),
      report.pointers.contents,
      bytes_text(report.pointers.bytes),
      report.manifests);
  if (report.rewritten)
    text += fmt::format("stored in {} of {}\n",
                        counted(report.new_objects, "new object"),
                        bytes_text(report.new_bytes));
  return cli::without_control_bytes(text);
}

void tell(const ImportReport& report, bool dry_run, const cli::Console& console) {
  if (!report.missing.empty())
    console.note(fmt::format("{} of git-lfs {}",
                             counted(report.missing.size(), "file"),
                             dry_run ? "not here: an import asks git-lfs for them"
                                     : "not to be had: pointers are kept in their place"));
  if (report.signatures > 0)
    console.note(fmt::format("{} of commits and tags {} dropped, as they sign the old history",
                             counted(report.signatures, "signature"),
                             dry_run ? "would be" : "were"));
  if (!report.others.empty())
    console.note(fmt::format("with the old history, as they were not named: {}",
                             fmt::join(report.others, ", ")));
  if (dry_run) return;
  if (report.rewritten)
    console.note(
        "the old refs are kept below refs/original: `git ration help import` says how to go back, "
        "and how to drop them");
  else
    console.note("there is nothing to import: no file was rewritten");
}

Result<int> run_import(const Arguments& arguments) {
  if (arguments.flag("everything") && !arguments.all("ref").empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "--everything and --ref exclude each other",
                 .hint = "--everything takes all branches and tags"};
  Result<Repository> repository = Repository::discover();
  if (!repository) return std::move(repository).error();
  const ImportOptions options = options_of(arguments);
  const Result<ImportReport> report =
      import_history(*repository, options, shown(arguments.console));
  if (!report) return report.error();
  if (arguments.console.json)
    arguments.console.print_json(to_json(*report));
  else
    arguments.console.print(text_of(*report));
  tell(*report, options.dry_run, arguments.console);
  return 0;
}

constexpr std::string_view kDescription =
    "Every commit of the branches and tags is written anew, with a manifest in the place of each "
    "file\n"
    "that matches a pattern, and with .gitattributes as `git ration track` writes it; lines that "
    "give\n"
    "such files to git-lfs go. Patterns are those of .gitattributes and count from the top. Files "
    "that\n"
    "git-lfs keeps are asked for where they are not here; where one cannot be had nothing is "
    "rewritten.\n"
    "Commits get new ids, and lose signatures; who has a clone needs a new one. Branches and tags "
    "move\n"
    "at the end, all at once, so that an import may be killed and repeated; the work tree keeps "
    "its\n"
    "files. See first what there is to do:\n\n"
    "  git ration import --dry-run --everything '*.safetensors'\n\n"
    "The old refs stay below refs/original. To go back:\n\n"
    "  git for-each-ref --format='update %(refname:strip=2) %(objectname)%0adelete %(refname)' "
    "refs/original | git update-ref --stdin\n"
    "  git reset --hard\n\n"
    "To drop the old history for good:\n\n"
    "  git for-each-ref --format='delete %(refname)' refs/original | git update-ref --stdin\n"
    "  git reflog expire --expire=now --all && git gc --prune=now\n";

}  // namespace

cli::Command import_command() {
  return {
      .name = "import",
      .summary = "Rewrite history so that files, plain or of git-lfs, are kept as checkpoints",
      .arguments = "PATTERN …",
      .min_arguments = 1,
      .max_arguments = 1000,
      .options =
          {{.name = "ref",
            .value = "NAME",
            .help = "A branch or tag to rewrite; may be repeated. The current branch unless given: "
                    "what is not named keeps the old history.",
            .repeatable = true},
           {.name = "everything",
            .help = "Rewrite all branches and tags, so that none shares history with old ones."},
           {.name = "dry-run", .help = "Count files and bytes, and change nothing."},
           {.name = "skip-missing",
            .help = "Where a file of git-lfs cannot be had, keep its pointer as if it were the "
                    "file; without it such a file stops the import."},
           {.name = "force",
            .help = "Replace old refs that are below refs/original from an earlier rewriting, "
                    "which are then lost."}},
      .description = std::string(kDescription),
      .execute = run_import};
}

}  // namespace ration::git
