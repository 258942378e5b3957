#pragma once

#include <string>

#include "cli/command.h"
#include "report/report.h"

namespace ration::cli {

// The script that draws figures: beside the program's build or installation, or where RATION_SHARE
// says; empty where it is not installed, which is then said to the user.
std::string drawing_script(const Console& console);

// Writes one offline page.
Result<void> write_page(const Console& console, const report::Page& page, const std::string& file);

}  // namespace ration::cli
