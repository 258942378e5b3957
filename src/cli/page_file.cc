#include "cli/page_file.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/files.h"

namespace ration::cli {

std::string drawing_script(const Console& console) {
  const char* given = std::getenv("RATION_SHARE");
  std::error_code unreadable;
  const Path program = std::filesystem::read_symlink("/proc/self/exe", unreadable);
  const Path share =
      given != nullptr ? Path(given) : program.parent_path().parent_path() / "share" / "ration";
  const Path file = share / "vega.js";
  std::string script = real_files().read(file).value_or("");
  if (script.empty())
    console.note(
        "note: the page leaves its figures out, for there is no drawing script; tools/figures "
        "--script " +
        file.string() + " writes it");
  return script;
}

Option page_option() {
  return {.name = "page",
          .value = "FILE",
          .help = "Write the answer as an offline HTML page with figures, too."};
}

Result<void> check_page_folder(const Arguments& arguments) {
  const std::optional<std::string> page = arguments.text("page");
  if (!page) return {};
  const Path file = std::filesystem::absolute(*page);
  std::error_code gone;
  const bool folder = std::filesystem::is_directory(file, gone);
  if (std::filesystem::is_directory(file.parent_path(), gone) && !folder) return {};
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("--page {} cannot be written: {}",
                                   *page,
                                   folder ? "it is a folder" : "its folder is not there"),
               .hint = "name a file in a folder that exists"};
}

report::Table page_table(std::vector<std::vector<std::string>> cells) {
  report::Table page{.header = cells.front(), .rows = {}};
  page.rows.assign(cells.begin() + 1, cells.end());
  return page;
}

Result<void> write_page(const Console& console, const report::Page& page, const std::string& file) {
  return real_files().write_whole(file, report::to_html(page, drawing_script(console)));
}

}  // namespace ration::cli
