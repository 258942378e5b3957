#include "cli/page_file.h"

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

Result<void> write_page(const Console& console, const report::Page& page, const std::string& file) {
  return real_files().write_whole(file, report::to_html(page, drawing_script(console)));
}

}  // namespace ration::cli
