#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "report/report.h"

namespace ration::cli {

// The script that draws figures: beside the program's build or installation, or where RATION_SHARE
// says; empty where it is not installed, which is then said to the user.
std::string drawing_script(const Console& console);

// --page FILE, for commands that write their answer as a page, too.
Option page_option();
// --page must name a file in a folder that is there, told before any work: ErrorKind::input.
Result<void> check_page_folder(const Arguments& arguments);

// A table's cells, of which the first row is the heading.
report::Table page_table(std::vector<std::vector<std::string>> cells);

// Writes one offline page.
Result<void> write_page(const Console& console, const report::Page& page, const std::string& file);
// Where --page says; nothing without it.
template <class MakePage>
Result<void> write_asked_page(const Arguments& arguments, const MakePage& make_page) {
  const std::optional<std::string> file = arguments.text("page");
  return file ? write_page(arguments.console, make_page(), *file) : Result<void>();
}

}  // namespace ration::cli
