#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "run/spec.h"

namespace ration::cli {
namespace {

constexpr std::string_view kExitCodes =
    "Exit codes: 0 ok · 1 some runs failed · 2 wrong usage or unusable input · 3 a resource is "
    "missing or full\n"
    "4 the fit is not to be trusted (--force overrides) · 5 interrupted, state saved · 70 a bug of "
    "ration\n";

const std::vector<Option>& common_options() {
  static const std::vector<Option> options = {
      {.name = "json", .help = "Print one JSON document with a \"schema\" member instead of text."},
      {.name = "quiet",
       .help = "Print ids and results only; no progress, no notes.",
       .letter = 'q'},
      {.name = "color",
       .value = "WHEN",
       .default_value = "auto",
       .help = "auto, always or never; auto obeys NO_COLOR and TERM."},
      {.name = "help", .help = "Show this page.", .letter = 'h'},
  };
  return options;
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string page(indent, ' ');
  std::size_t column = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + word.size() > width) {
      page += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) page += ' ', ++column;
    page += word;
    column += word.size();
  }
  return page + "\n";
}

std::string left_side(const Option& option) {
  std::string text = option.letter != 0 ? fmt::format("-{}, ", option.letter) : std::string();
  text += "--" + option.name;
  if (!option.value.empty()) text += " " + option.value;
  return text;
}

std::string option_lines(const std::vector<Option>& options) {
  std::string page;
  for (const Option& option : options) {
    page += fmt::format(
        "  {}{}\n",
        left_side(option),
        option.default_value.empty() ? "" : fmt::format("  (default {})", option.default_value));
    page += wrapped(option.help, 6, 80);
  }
  return page;
}

std::string field_lines(std::span<const run::Field> fields) {
  std::string page;
  for (const run::Field& field : fields) {
    const std::string value =
        std::visit([](const auto& v) { return fmt::format("{}", v); }, field.default_value);
    const bool unit = field.unit.size() > 1;  // "1" is a plain number
    page += fmt::format("  {} = {}   [{}{}{}]\n",
                        field.name,
                        value.empty() ? "\"\"" : value,
                        field.range,
                        unit ? " " : "",
                        unit ? field.unit : "");
    page += wrapped(field.why, 6, 80);
  }
  return page;
}

Result<int> run_help(const Arguments& arguments) {
  const std::vector<Command> commands = all_commands();
  if (arguments.positional.empty()) {
    arguments.console.print(overview(commands));
    return 0;
  }
  const std::string topic = fmt::format("{}", fmt::join(arguments.positional, " "));
  if (topic == "settings") {
    arguments.console.print(
        "Settings of a run: keys of a sweep file. The first group is the run's identity.\n\n");
    arguments.console.print(field_lines(run::identity_fields()));
    arguments.console.print("\nExecution: these change no number of the result.\n\n");
    arguments.console.print(field_lines(run::execution_fields()));
    return 0;
  }
  if (topic == "markdown") {
    arguments.console.print(markdown(commands));
    return 0;
  }
  for (const Command& command : commands)
    if (command.name == topic) {
      arguments.console.print(help_page(command));
      return 0;
    }
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format("no help on \"{}\"", topic),
      .hint = "`ration help` lists the commands; `ration help settings` the settings of a run"};
}

Result<int> run_completion(const Arguments& arguments) {
  if (arguments.positional.front() != "bash")
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("no completion for \"{}\"", arguments.positional.front()),
                 .hint = "bash is there: source <(ration completion bash)"};
  arguments.console.print(bash_completion(all_commands()));
  return 0;
}

Result<int> run_version(const Arguments& arguments) {
  if (arguments.console.json)
    arguments.console.print_json(Json{{"schema", "ration.version/1"},
                                      {"version", RATION_VERSION},
                                      {"numerics", run::kNumericsVersion}});
  else
    arguments.console.print(
        fmt::format("ration {} (numerics {})\n", RATION_VERSION, run::kNumericsVersion));
  return 0;
}

}  // namespace

std::string overview(const std::vector<Command>& commands) {
  std::string page =
      "ration: I have U unique tokens and C FLOPs. Which model size, how many epochs, how sure?\n\n"
      "usage: ration COMMAND [ARGUMENTS] [--json] [--quiet] [--help]\n\n";
  std::size_t longest = 0;
  for (const Command& command : commands) longest = std::max(longest, command.name.size());
  for (const Command& command : commands)
    if (!command.hidden)
      page += fmt::format("  {:<{}}  {}\n", command.name, longest, command.summary);
  page +=
      "\n`ration COMMAND --help` explains one command, `ration help settings` the keys of a sweep "
      "file.\n";
  return page + std::string(kExitCodes);
}

std::string synopsis(const Command& command) {
  std::string text = "ration " + command.name;
  return command.arguments.empty() ? text : text + " " + command.arguments;
}

std::string help_page(const Command& command) {
  std::string page =
      fmt::format("{}\n\n{}\n", synopsis(command), wrapped(command.summary + ".", 0, 80));
  if (!command.description.empty()) page += command.description + "\n\n";
  page += option_lines(command.options) + option_lines(common_options());
  return page + "\n" + std::string(kExitCodes);
}

std::string markdown(const std::vector<Command>& commands) {
  std::string page =
      "# Commands\n\nGenerated by `ration help markdown`; `ration COMMAND --help` shows the "
      "same.\n";
  for (const Command& command : commands) {
    if (command.hidden) continue;
    page += fmt::format("\n## {}\n\n{}.\n", synopsis(command), command.summary);
    if (!command.description.empty()) page += "\n```text\n" + command.description + "\n```\n";
    if (command.options.empty()) continue;
    page += "\n| option | default | meaning |\n| --- | --- | --- |\n";
    for (const Option& option : command.options)
      page +=
          fmt::format("| `{}` | {} | {} |\n", left_side(option), option.default_value, option.help);
  }
  return page;
}

std::string bash_completion(const std::vector<Command>& commands) {
  std::string names;
  std::string cases;
  for (const Command& command : commands) {
    if (command.hidden) continue;
    names += command.name.substr(0, command.name.find(' ')) + " ";
    std::string options = "--json --quiet --color --help";
    for (const Option& option : command.options) options += " --" + option.name;
    const std::string pattern = command.name.find(' ') == std::string::npos
                                    ? fmt::format("\"{} \"*", command.name)
                                    : fmt::format("\"{}\"*", command.name);
    cases += fmt::format("    {}) words='{}' ;;\n", pattern, options);
  }
  return fmt::format(
      "_ration() {{\n"
      "  local typed=\"${{COMP_WORDS[COMP_CWORD]}}\" line=\"${{COMP_WORDS[*]:1}}\" words='{}'\n"
      "  case \"$line\" in\n{}  esac\n"
      "  if [[ $COMP_CWORD -gt 1 && $typed != -* ]]; then COMPREPLY=($(compgen -f -- \"$typed\")); "
      "return; fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$typed\"))\n"
      "}}\n"
      "complete -o filenames -F _ration ration\n",
      names,
      cases);
}

Command help_command() {
  return {.name = "help",
          .summary = "Explain a command, or the settings of a run (ration help settings)",
          .arguments = "[COMMAND | settings]",
          .max_arguments = 2,
          .execute = run_help};
}

Command completion_command() {
  return {.name = "completion",
          .summary = "Print completion for a shell: source <(ration completion bash)",
          .arguments = "bash",
          .min_arguments = 1,
          .max_arguments = 1,
          .execute = run_completion};
}

Command version_command() {
  return {.name = "version",
          .summary = "Print the version of the program and of the trainer's arithmetic",
          .execute = run_version};
}

}  // namespace ration::cli
