#include "cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <csignal>
#include <cstdlib>

#include "base/text.h"
#include "cli/help.h"

namespace ration::cli {
namespace {

namespace po = boost::program_options;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

int terminal_width() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

Error usage_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

std::vector<std::string> names_of(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands)
    if (!command.hidden) names.push_back(command.name);
  return names;
}

// The command whose one or two words begin `words`, and how many words it took.
std::pair<const Command*, std::size_t> find_command(const std::vector<Command>& commands,
                                                    const std::vector<std::string>& words) {
  for (const std::size_t count : {std::size_t{2}, std::size_t{1}}) {
    if (words.size() < count) continue;
    const std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
    for (const Command& command : commands)
      if (command.name == name) return {&command, count};
  }
  return {nullptr, 0};
}

Error unknown_command(const Program& program, const std::vector<std::string>& words) {
  std::string group;
  for (const Command& command : program.commands)
    if (!command.hidden && command.name.starts_with(words[0] + " "))
      group += (group.empty() ? "" : ", ") + command.name;
  if (!group.empty())
    return usage_error(fmt::format("\"{}\" needs a second word", words[0]), "one of: " + group);
  std::string hint = did_you_mean(words[0], names_of(program.commands));
  return usage_error(
      fmt::format("unknown command \"{}\"", words[0]),
      hint.empty() ? fmt::format("`{} help` lists the commands", program.name) : hint);
}

po::options_description describe(const Command& command) {
  po::options_description description;
  for (const Option& option : command.options) {
    const std::string name =
        option.letter != 0 ? fmt::format("{},{}", option.name, option.letter) : option.name;
    if (option.value.empty())
      description.add_options()(name.c_str(), po::bool_switch());
    else
      description.add_options()(name.c_str(), po::value<std::vector<std::string>>());
  }
  description.add_options()("json", po::bool_switch())("quiet,q", po::bool_switch())(
      "help,h", po::bool_switch())("color", po::value<std::vector<std::string>>());
  return description;
}

// An option that takes one value and is given several.
std::optional<Error> find_repeated(const Command& command, const Arguments& arguments) {
  for (const auto& [name, value] : arguments.values) {
    const auto option = std::find_if(command.options.begin(),
                                     command.options.end(),
                                     [&](const Option& o) { return o.name == name; });
    const bool known = option != command.options.end();
    if (known ? option->repeatable || option->value.empty() : name != "color") continue;
    const std::vector<std::string> given = arguments.all(name);
    if (given.size() > 1)
      return usage_error(
          fmt::format("--{} is given {} times: {}", name, given.size(), fmt::join(given, ", ")),
          "it takes one value");
  }
  return std::nullopt;
}

// An option that names something and is given the empty name.
std::optional<Error> find_empty(const Command& command, const Arguments& arguments) {
  constexpr std::array<std::string_view, 4> kNames = {"DIR", "FILE", "PATH", "SWEEP"};
  for (const Option& option : command.options) {
    const std::optional<std::string> given = arguments.text(option.name);
    if (given && given->empty() &&
        std::find(kNames.begin(), kNames.end(), option.value) != kNames.end())
      return usage_error(fmt::format("--{} is empty", option.name),
                         fmt::format("give a name ({}), or leave the option out", option.value));
  }
  return std::nullopt;
}

Result<Arguments> parse(const Program& program,
                        const Command& command,
                        const std::vector<std::string>& words) {
  const po::options_description known = describe(command);
  std::vector<std::string> option_names;
  for (const auto& option : known.options()) option_names.push_back("--" + option->long_name());
  Arguments arguments;
  try {
    constexpr int kStyle =
        po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const po::parsed_options parsed =
        po::command_line_parser(words).options(known).style(kStyle).allow_unregistered().run();
    for (const auto& option : parsed.options) {
      if (option.unregistered) {
        std::string hint = did_you_mean(option.original_tokens.front(), option_names);
        if (hint.empty())
          hint = fmt::format("`{} {} --help` lists its options", program.name, command.name);
        return usage_error(fmt::format("unknown option {}", option.original_tokens.front()),
                           std::move(hint));
      }
      if (option.string_key.empty())
        arguments.positional.insert(
            arguments.positional.end(), option.value.begin(), option.value.end());
      else
        arguments.values.emplace_back(option.string_key,
                                      option.value.empty() ? "true" : option.value.back());
    }
  } catch (const po::error& e) {
    return usage_error(
        e.what(), fmt::format("`{} {} --help` shows how to use it", program.name, command.name));
  }
  if (arguments.flag("help")) return arguments;
  if (std::optional<Error> repeated = find_repeated(command, arguments)) return *repeated;
  if (std::optional<Error> empty = find_empty(command, arguments)) return *empty;
  for (const Option& option : command.options)
    if (!option.default_value.empty() && !arguments.text(option.name))
      arguments.values.emplace_back(option.name, option.default_value);
  const std::size_t count = arguments.positional.size();
  if (count < command.min_arguments || count > command.max_arguments)
    return usage_error(count < command.min_arguments
                           ? "an argument is missing"
                           : fmt::format("unexpected argument \"{}\"", arguments.positional.back()),
                       "usage: " + synopsis(program, command));
  return arguments;
}

Console make_console(const Arguments& arguments) {
  Console console;
  console.json = arguments.flag("json");
  console.quiet = arguments.flag("quiet");
  console.live =
      isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb" && environment("CI").empty();
  const std::string choice = arguments.text("color").value_or("auto");
  console.color =
      choice == "always" || (choice == "auto" && console.live && environment("NO_COLOR").empty());
  console.width = terminal_width();
  return console;
}

Json to_json(const Error& error) {
  Json document = {{"what", error.what}, {"hint", error.hint}, {"causes", Json::array()}};
  if (error.where)
    document["where"] = {
        {"file", error.where->file}, {"line", error.where->line}, {"column", error.where->column}};
  for (const Error& cause : error.causes) document["causes"].push_back(to_json(cause));
  return document;
}

int report(const Error& error, const Console& console) {
  const int code = exit_code(error.kind);
  if (console.json)
    console.print_json(
        Json{{"schema", "ration.error/1"}, {"exit", code}, {"error", to_json(error)}});
  else
    console.print_error(error.describe());
  return code;
}

// Of the three usual streams those that are closed, as daemons leave them: what would be printed
// goes nowhere, and no other file gets their numbers.
void open_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDWR) != stream) std::abort();
}

}  // namespace

int run_program(const Program& program, int argc, const char* const* argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    fmt::print("{}", overview(program));
    return 0;
  }
  if (words[0] == "--version") words = {"version"};

  const auto [command, taken] = find_command(program.commands, words);
  if (command == nullptr) return report(unknown_command(program, words), Console{});
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(taken));

  Result<Arguments> arguments = parse(program, *command, words);
  if (!arguments) {
    const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
    return report(arguments.error(), Console{.json = json});
  }
  if (arguments->flag("help")) {
    fmt::print("{}", help_page(program, *command));
    return 0;
  }
  arguments->console = make_console(*arguments);
  try {
    Result<int> code = command->execute(*arguments);
    return code ? *code : report(code.error(), arguments->console);
  } catch (const std::exception& e) {
    const Error bug{
        .kind = ErrorKind::internal,
        .what = fmt::format(
            "{} {} ended by an unexpected exception: {}", program.name, command->name, e.what()),
        .hint = "this is a bug: please report it with the command you typed"};
    return report(bug, arguments->console);
  }
}

int run_process(const Program& program, int argc, const char* const* argv) {
  open_closed_streams();
  std::signal(SIGXFSZ, SIG_IGN);
  return run_program(program, argc, argv);
}

}  // namespace ration::cli
