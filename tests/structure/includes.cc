#include "structure/includes.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <sstream>

namespace ration::test {
namespace {

std::string room_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

std::set<std::string> words_of(std::string text) {
  std::replace(text.begin(), text.end(), '`', ' ');
  std::istringstream stream(text);
  std::set<std::string> words;
  for (std::string word; stream >> word;)
    if (word != "—") words.insert(word);
  return words;
}

// A walk along edges that ends where it began, or nothing.
std::vector<std::string> cycle_in(const std::map<std::string, std::set<std::string>>& edges) {
  std::map<std::string, int> state;  // 1 on the path, 2 finished
  std::vector<std::string> path;
  const std::function<bool(const std::string&)> visit = [&](const std::string& node) {
    if (state[node] == 2) return false;
    path.push_back(node);
    if (state[node] == 1) return true;
    state[node] = 1;
    if (const auto out = edges.find(node); out != edges.end())
      for (const std::string& next : out->second)
        if (visit(next)) return true;
    state[node] = 2;
    path.pop_back();
    return false;
  };
  for (const auto& [node, out] : edges)
    if (visit(node)) {
      path.erase(path.begin(), std::find(path.begin(), path.end(), path.back()));
      return path;
    }
  return {};
}

class Checker {
 public:
  Checker(const Rooms& rooms, const Sources& sources) : rooms_(rooms), sources_(sources) {
    for (const auto& [path, text] : sources) includes_[path] = includes_of(text);
  }

  std::vector<std::string> run() {
    check_table();
    for (const auto& [path, includes] : includes_) {
      if (!rooms_.contains(room_of(path))) {
        say("{}: the table of rooms has no {}", path, room_of(path));
        continue;
      }
      check_arrows(path, includes);
      check_libraries(path, includes);
      check_first_include(path);
    }
    std::map<std::string, std::set<std::string>> edges;
    for (const auto& [path, includes] : includes_)
      edges[path].insert(includes.own.begin(), includes.own.end());
    if (const auto cycle = cycle_in(edges); !cycle.empty())
      say("files include each other: {}", fmt::join(cycle, " -> "));
    return problems_;
  }

 private:
  template <class... Args>
  void say(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  void check_table() {
    std::map<std::string, std::set<std::string>> edges;
    for (const auto& [name, room] : rooms_)
      for (const std::string& target : room.may_include) edges[name].insert(room_of(target));
    if (const auto cycle = cycle_in(edges); !cycle.empty())
      say("the table of rooms goes in a circle: {}", fmt::join(cycle, " -> "));
  }

  void check_arrows(const std::string& path, const Includes& includes) {
    const std::string room = room_of(path);
    const std::set<std::string>& allowed = rooms_.at(room).may_include;
    for (const std::string& header : includes.own) {
      if (!sources_.contains(header)) say("{}: there is no src/{}", path, header);
      if (room_of(header) != room && !allowed.contains(room_of(header)) &&
          !allowed.contains(header))
        say("{}: {} may not include {}", path, room, header);
    }
  }

  // The rooms that a library header belongs to; often nobody.
  std::vector<std::string> owners_of(const std::string& header) const {
    std::vector<std::string> owners;
    for (const auto& [name, room] : rooms_)
      if (std::any_of(room.libraries.begin(),
                      room.libraries.end(),
                      [&](const std::string& beginning) { return header.starts_with(beginning); }))
        owners.push_back(name);
    return owners;
  }
  bool owns(const std::string& room, const std::string& header) const {
    const std::vector<std::string> owners = owners_of(header);
    return std::find(owners.begin(), owners.end(), room) != owners.end();
  }

  // A header of another room must not bring in, by whatever way, a library that is that room's own.
  void check_libraries(const std::string& path, const Includes& includes) {
    const std::string room = room_of(path);
    for (const std::string& header : includes.library)
      if (const std::vector<std::string> owners = owners_of(header);
          !owners.empty() && !owns(room, header))
        say("{}: <{}> belongs to {} alone", path, header, fmt::join(owners, " and "));
    std::set<std::string> seen;
    const std::function<void(const std::string&)> look = [&](const std::string& header) {
      if (!seen.insert(header).second || !includes_.contains(header)) return;
      if (room_of(header) != room)
        for (const std::string& library : includes_.at(header).library)
          if (owns(room_of(header), library) && !owns(room, library))
            say("{}: sees <{}> of {} through {}", path, library, room_of(header), header);
      for (const std::string& next : includes_.at(header).own) look(next);
    };
    for (const std::string& header : includes.own) look(header);
  }

  // A .cc that includes its own header first proves that the header compiles standing alone.
  void check_first_include(const std::string& path) {
    if (!path.ends_with(".cc")) return;
    const std::string header = path.substr(0, path.size() - 2) + "h";
    if (!sources_.contains(header)) return;
    const std::string& text = sources_.at(path);
    const std::size_t first = text.find("#include ");
    if (first == std::string::npos ||
        text.compare(first + 9, header.size() + 2, '"' + header + '"') != 0)
      say("{}: its first include should be \"{}\"", path, header);
  }

  const Rooms& rooms_;
  const Sources& sources_;
  std::map<std::string, Includes> includes_;
  std::vector<std::string> problems_;
};

}  // namespace

Rooms rooms_of(std::string_view markdown) {
  Rooms rooms;
  std::istringstream lines{std::string(markdown)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(cell);
    const std::set<std::string> name = words_of(cells.at(0));
    if (name.size() == 1 && cells.size() >= 3)
      rooms[*name.begin()] = {.may_include = words_of(cells[1]), .libraries = words_of(cells[2])};
  }
  return rooms;
}

Includes includes_of(std::string_view text) {
  Includes includes;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t hash = line.find_first_not_of(' ');
    constexpr std::string_view kInclude = "#include ";
    if (hash == std::string::npos || line.compare(hash, kInclude.size(), kInclude) != 0) continue;
    const std::size_t open = line.find_first_of("\"<", hash);
    const std::size_t close = line.find_first_of("\">", open + 1);
    if (open == std::string::npos || close == std::string::npos) continue;
    const std::string header = line.substr(open + 1, close - open - 1);
    (line[open] == '"' ? includes.own : includes.library).push_back(header);
  }
  return includes;
}

std::vector<std::string> violations(const Rooms& rooms, const Sources& sources) {
  return Checker(rooms, sources).run();
}

}  // namespace ration::test
