#pragma once

// Pages made from the table of commands.

#include <string>
#include <string_view>

#include "cli/program.h"

namespace ration::cli {

std::string overview(const Program& program);                           // `ration --help`
std::string synopsis(const Program& program, const Command& command);   // "ration data info DIR"
std::string help_page(const Program& program, const Command& command);  // `ration plan --help`
std::string markdown(const Program& program);                           // docs/commands.md
std::string bash_completion(const Program& program);  // of a program whose name is one word

// Words filled into lines of `width`, each beginning with `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

// What `help [COMMAND | markdown]` prints. ErrorKind::usage for other words.
Result<int> show_help(const Program& program, const Arguments& arguments);

}  // namespace ration::cli
