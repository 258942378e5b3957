#pragma once

// Pages made from the table of commands.

#include <string>
#include <vector>

#include "cli/command.h"

namespace ration::cli {

std::string overview(const std::vector<Command>& commands);  // `ration --help`
std::string synopsis(const Command& command);                // "ration data info DIR"
std::string help_page(const Command& command);               // `ration plan --help`
std::string markdown(const std::vector<Command>& commands);  // docs/commands.md
std::string bash_completion(const std::vector<Command>& commands);

}  // namespace ration::cli
