#include "scheduler/slurm/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>

#include "base/text.h"
#include "scheduler/document.h"

namespace ration::scheduler {
namespace {

constexpr const char* kFile = "ration.toml";
constexpr std::string_view kNameSigns = "_.-+";

// What a key of a table is read by; false when the value cannot be used.
struct Key {
  std::string name;
  std::function<bool(const Node&)> read;
  std::string hint;  // what it takes
};

bool consists_of(std::string_view text, std::string_view signs) {
  return !text.empty() && text.size() <= 200 && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                  signs.find(c) != std::string_view::npos;
         });
}

Key name_key(const char* name, std::string& target, std::string_view signs) {
  return {.name = name,
          .read =
              [&target, signs](const Node& node) {
                if (node.text() == nullptr || !consists_of(*node.text(), signs)) return false;
                target = *node.text();
                return true;
              },
          .hint = fmt::format("a text of letters, digits and {}", signs)};
}

Key quantity_key(
    const char* name, double& target, const char* unit, double low, double high, const char* hint) {
  const auto read = [&target, unit, low, high](const Node& node) {
    double value = 0;
    if (const auto* whole = std::get_if<std::int64_t>(&node.value)) {
      value = static_cast<double>(*whole);
    } else if (const auto* real = std::get_if<double>(&node.value)) {
      value = *real;
    } else if (node.text() != nullptr) {
      const Result<double> parsed = parse_quantity(*node.text(), unit);
      if (!parsed) return false;
      value = *parsed;
    } else {
      return false;
    }
    target = value;
    return node.kind == Node::Kind::value && value >= low && value <= high;
  };
  return {.name = name, .read = read, .hint = hint};
}

Key whole_key(const char* name, int& target, int low, int high) {
  const auto read = [&target, low, high](const Node& node) {
    const auto* whole = std::get_if<std::int64_t>(&node.value);
    if (node.kind != Node::Kind::value || whole == nullptr || *whole < low || *whole > high)
      return false;
    target = static_cast<int>(*whole);
    return true;
  };
  return {.name = name, .read = read, .hint = fmt::format("a whole number, {} to {}", low, high)};
}

Key list_key(const char* name,
             std::vector<std::string>& target,
             std::function<bool(const std::string&)> good,
             const char* hint) {
  const auto read = [&target, good = std::move(good)](const Node& node) {
    if (node.kind != Node::Kind::array) return false;
    for (const Node& item : node.items) {
      if (item.text() == nullptr || !good(*item.text())) return false;
      target.push_back(*item.text());
    }
    return true;
  };
  return {.name = name, .read = read, .hint = hint};
}

bool is_module(const std::string& name) { return consists_of(name, "_.-+/"); }

bool is_line(const std::string& line) {
  return line.size() <= 4096 && line.find('\n') == std::string::npos &&
         line.find('\r') == std::string::npos;
}

std::vector<Key> slurm_keys(SlurmConfig& config) {
  return {
      name_key("account", config.account, kNameSigns),
      name_key("partition", config.partition, "_.-+,"),
      name_key("qos", config.qos, kNameSigns),
      name_key("constraint", config.constraint, "_.-+,&|[]()*"),
      name_key("gres", config.gres, "_.-+,:"),
      quantity_key("memory", config.memory_bytes, "B", 1 << 20, 1e15, "\"4GiB\": 1 MiB or more"),
      quantity_key(
          "time", config.time_seconds, "s", 60, 365 * 86400.0, "\"12h\": one minute to a year"),
      quantity_key("signal", config.signal_seconds, "s", 10, 3600, "\"2m\": 10 s to 1 h"),
      whole_key("max_jobs", config.max_jobs, 1, 100'000),
      whole_key("at_once", config.at_once, 0, 100'000),
      quantity_key("poll", config.poll_seconds, "s", 1, 600, "\"15s\": 1 s to 10 min"),
      quantity_key("settle", config.settle_seconds, "s", 0, 600, "\"30s\": 0 s to 10 min"),
      quantity_key("deadline", config.deadline_seconds, "s", 1, 600, "\"30s\": 1 s to 10 min"),
      list_key("modules",
               config.modules,
               is_module,
               "names of modules: [\"gcc/12\", \"cuda\"]; letters, digits and _.-+/"),
      list_key("setup", config.setup, is_line, "lines of shell: [\"export OMP_PROC_BIND=true\"]")};
}

void read_keys(const SourceText& source,
               const Node& table,
               const std::vector<Key>& keys,
               Problems& problems) {
  for (const Member& member : table.members) {
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == member.key; });
    if (key == keys.end()) {
      std::vector<std::string> names;
      for (const Key& known : keys) names.push_back(known.name);
      problems.add(source.problem(
          member.place,
          fmt::format("unknown key \"{}\"{}", member.key, did_you_mean(member.key, names)),
          fmt::format("known here: {}", fmt::join(names, ", "))));
    } else if (!key->read(member.node)) {
      problems.add(source.problem(member.node.place,
                                  fmt::format("{} cannot be this", member.key),
                                  fmt::format("it takes {}", key->hint)));
    }
  }
}

}  // namespace

Result<Config> read_config(std::string_view text, const std::string& file) {
  const SourceText source(file, std::string(text));
  Problems problems;
  Config config;
  const std::optional<Node> root = read_document(source, problems);
  if (root && problems.empty()) {
    const std::vector<Key> in_slurm = slurm_keys(config.slurm);
    const auto read_executor = [&](const Node& node) {
      if (node.text() == nullptr || (*node.text() != "local" && *node.text() != "slurm"))
        return false;
      config.executor = *node.text() == "slurm" ? ExecutorKind::slurm : ExecutorKind::local;
      return true;
    };
    const auto read_slurm = [&](const Node& node) {
      if (node.kind != Node::Kind::table) return false;
      read_keys(source, node, in_slurm, problems);
      return true;
    };
    read_keys(source,
              *root,
              {{.name = "executor", .read = read_executor, .hint = "\"local\" or \"slurm\""},
               quantity_key("price", config.price, "", 1e-9, 1e9, "a number above 0: 2.5"),
               {.name = "slurm", .read = read_slurm, .hint = "a table: [slurm]"}},
              problems);
    if (config.slurm.time_seconds > 0 && config.slurm.signal_seconds >= config.slurm.time_seconds)
      problems.add(source.problem({},
                                  "a worker would be asked to checkpoint before it begins",
                                  "make `time` longer than `signal`"));
  }
  if (problems.empty()) return config;
  return std::move(problems).take(fmt::format("{} cannot be used", file));
}

Result<Config> find_config(Files& files, const std::string& given, const Path& sweep_file) {
  Path file = given;
  if (given.empty()) {
    file = sweep_file.parent_path() / kFile;
    if (!files.exists(file)) file = kFile;
    if (!files.exists(file)) return Config{};
  }
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  return read_config(*text, file.string());
}

}  // namespace ration::scheduler
