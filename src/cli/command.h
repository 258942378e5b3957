#pragma once

// The frame of the command line. A subcommand is a value: name, summary, options, and a function
// that parses nothing, calls one module and prints. Help, completion, the man page and
// docs/commands.md come from the same values.
//
//   Command plan_command() {
//     return {.name = "plan", .summary = "…", .arguments = "", .options = {…}, .execute =
//     run_plan};
//   }

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/units.h"

namespace ration::cli {

// One option: `--name VALUE`, or a flag when `value` is empty.
struct Option {
  std::string name;
  std::string value = {};          // placeholder with its unit: "FLOP", "SECONDS"; empty = flag
  std::string default_value = {};  // as text; empty = none
  std::string help;                // one sentence: meaning, range, why this default
  bool repeatable = false;
  char letter = 0;  // short form
};

// Streams and habits of this invocation.
struct Console {
  bool json = false;   // --json: exactly one document on stdout
  bool quiet = false;  // --quiet: ids only, no progress
  bool color = false;  // stderr is a terminal that wants colour
  bool live = false;   // stderr is a terminal: progress may be redrawn in place
  int width = 80;

  void print(std::string_view text) const;        // stdout: the answer
  void print_json(const Json& document) const;    // stdout: one JSON document, with its "schema"
  void print_error(std::string_view text) const;  // stderr, as it is, even when quiet
  void note(std::string_view text) const;         // stderr: a line for people; nothing when quiet
  void progress(std::string_view line)
      const;  // stderr: replaces the last progress line on a terminal, else one plain line
};

// The largest whole number that options take: doubles hold all up to it.
constexpr std::int64_t kLargestWhole = std::int64_t{1} << 53;

// What the user typed, checked against the command's options.
class Arguments {
 public:
  std::vector<std::string> positional;
  std::vector<std::pair<std::string, std::string>>
      values;  // option name -> text, in order; flags hold "true"; defaults filled in
  Console console;

  bool flag(std::string_view name) const { return text(name).has_value(); }
  std::optional<std::string> text(std::string_view name) const;  // last one wins
  std::vector<std::string> all(std::string_view name) const;
  // The number with an optional unit (base/text.h); an error names the option.
  Result<std::optional<double>> quantity(std::string_view name, std::string_view unit) const;
  // A whole number from `low` to `high`, both within kLargestWhole.
  Result<std::optional<std::int64_t>> whole(std::string_view name,
                                            std::int64_t low,
                                            std::int64_t high) const;
};

struct Command {
  std::string name;       // "plan", or two words: "data prepare"
  std::string summary;    // one line
  std::string arguments;  // "SWEEP.toml", "[RUN …]"
  std::size_t min_arguments = 0;
  std::size_t max_arguments = 0;
  std::vector<Option> options = {};
  std::string description = {};                          // paragraphs and an example, for --help
  std::function<Result<int>(const Arguments&)> execute;  // the exit code, or an error
  bool hidden = false;
};

}  // namespace ration::cli
