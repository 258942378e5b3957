#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/terminal_text.h"

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

Error unknown_command(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  std::string group;
  for (const Command& command : commands)
    if (!command.hidden && command.name.starts_with(words[0] + " "))
      group += (group.empty() ? "" : ", ") + command.name;
  if (!group.empty())
    return usage_error(fmt::format("\"{}\" needs a second word", words[0]), "one of: " + group);
  std::string hint = did_you_mean(words[0], names_of(commands));
  return usage_error(fmt::format("unknown command \"{}\"", words[0]),
                     hint.empty() ? "`ration help` lists the commands" : hint);
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

Result<Arguments> parse(const Command& command, const std::vector<std::string>& words) {
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
        if (hint.empty()) hint = fmt::format("`ration {} --help` lists its options", command.name);
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
    return usage_error(e.what(),
                       fmt::format("`ration {} --help` shows how to use it", command.name));
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
                       "usage: " + synopsis(command));
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

// What finds no room is not worth the end of the command, unlike with fmt::print.
void print_to(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

int report(const Error& error, const Console& console) {
  const int code = exit_code(error.kind);
  if (console.json)
    console.print_json(
        Json{{"schema", "ration.error/1"}, {"exit", code}, {"error", to_json(error)}});
  else
    print_to(stderr, without_control_bytes(error.describe()));
  return code;
}

}  // namespace

void Console::print(std::string_view text) const { print_to(stdout, text); }

void Console::print_json(const Json& document) const {
  print(document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::note(std::string_view text) const {
  if (quiet) return;
  print_to(stderr, fmt::format("{}{}\n", live ? "\r\x1b[K" : "", without_control_bytes(text)));
}

void Console::progress(std::string_view line) const {
  if (quiet) return;
  if (live)
    print_to(stderr, fmt::format("\r\x1b[K{}", line.substr(0, static_cast<std::size_t>(width))));
  else
    print_to(stderr, fmt::format("{}\n", line));
  std::fflush(stderr);
}

std::optional<std::string> Arguments::text(std::string_view name) const {
  for (auto value = values.rbegin(); value != values.rend(); ++value)
    if (value->first == name) return value->second;
  return std::nullopt;
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  std::vector<std::string> texts;
  for (const auto& [key, value] : values)
    if (key == name) texts.push_back(value);
  return texts;
}

Result<std::optional<double>> Arguments::quantity(std::string_view name,
                                                  std::string_view unit) const {
  const std::optional<std::string> given = text(name);
  if (!given) return std::optional<double>();
  Result<double> value = parse_quantity(*given, unit);
  if (!value) return std::move(value).error().with_context(fmt::format("--{}", name));
  return std::optional<double>(*value);
}

Result<std::optional<std::int64_t>> Arguments::whole(std::string_view name,
                                                     std::int64_t low,
                                                     std::int64_t high) const {
  Result<std::optional<double>> value = quantity(name, "");
  if (!value) return std::move(value).error();
  if (!*value) return std::optional<std::int64_t>();
  if (std::floor(**value) != **value)
    return usage_error(fmt::format("--{} takes a whole number, not {}", name, *text(name)),
                       "leave the fraction out");
  if (**value < static_cast<double>(low) || **value > static_cast<double>(high))
    return usage_error(fmt::format("--{} {} is out of range", name, *text(name)),
                       fmt::format("allowed: {} to {}", low, high));
  return std::optional(static_cast<std::int64_t>(**value));
}

int run_program(int argc, const char* const* argv) {
  const std::vector<Command> commands = all_commands();
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    fmt::print("{}", overview(commands));
    return 0;
  }
  if (words[0] == "--version") words = {"version"};

  const auto [command, taken] = find_command(commands, words);
  if (command == nullptr) return report(unknown_command(commands, words), Console{});
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(taken));

  Result<Arguments> arguments = parse(*command, words);
  if (!arguments) {
    const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
    return report(arguments.error(), Console{.json = json});
  }
  if (arguments->flag("help")) {
    fmt::print("{}", help_page(*command));
    return 0;
  }
  arguments->console = make_console(*arguments);
  try {
    Result<int> code = command->execute(*arguments);
    return code ? *code : report(code.error(), arguments->console);
  } catch (const std::exception& e) {
    const Error bug{.kind = ErrorKind::internal,
                    .what = fmt::format(
                        "ration {} ended by an unexpected exception: {}", command->name, e.what()),
                    .hint = "this is a bug: please report it with the command you typed"};
    return report(bug, arguments->console);
  }
}

}  // namespace ration::cli
