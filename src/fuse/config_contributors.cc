// The contributors of [fuse], and the faults of an experiment.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.h"
#include "fuse/config_parts.h"
#include "fuse/words.h"

namespace ration::fuse {
namespace {

bool is_name(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest && text[0] != '_' && text[0] != '.' &&
         text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
                  c == '-';
         });
}

std::optional<Contributor> read_contributor(const Json& table,
                                            const std::string& where,
                                            std::size_t place,
                                            std::vector<Error>& problems) {
  TableReader read(table, where, fmt::format("[[fuse.contributor]] {}:", place + 1), problems);
  if (!table.is_object()) {
    read.refuse_table("is no table", "begin each with [[fuse.contributor]]");
    return std::nullopt;
  }
  Contributor contributor;
  read.text("id", contributor.id);
  read.text("data", contributor.data);
  read.number("weight", 1e-9, 1e9, contributor.weight);
  read.flag("external", contributor.external);
  if (!is_name(contributor.id))
    read.refuse("id",
                table.contains("id") ? "is no name" : "is missing",
                "letters, digits, `_`, `.` and `-`, at most 64, the first a letter or digit");
  if (contributor.external) {
    read.whole("tokens", 0, std::int64_t{1} << 53, contributor.tokens);
    read.refuse_unknown();
  } else {
    // All else is a setting of its runs, which the expansion of their sweep checks.
    for (const auto& [key, value] : table.items())
      if (key != "id" && key != "data" && key != "weight" && key != "external")
        contributor.settings[key] = value;
  }
  return contributor;
}

// "fail:0.3", "scale:10", "flip", "random", "random:2".
std::optional<Fault> fault_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::optional<Fault::Kind> kind = word_of<Fault::Kind>(text.substr(0, colon));
  if (!kind) return std::nullopt;
  Fault fault{.kind = *kind};
  if (colon == std::string::npos) return fault;
  const Result<double> value = parse_quantity(text.substr(colon + 1), "");
  if (!value || *kind == Fault::Kind::flip) return std::nullopt;
  fault.value = *value;
  if (*kind == Fault::Kind::fail && !(*value >= 0 && *value <= 1)) return std::nullopt;
  return fault;
}

}  // namespace

void read_contributors(TableReader& read,
                       const std::string& where,
                       Config& config,
                       std::vector<Error>& problems) {
  if (const Json* fixed = read.table("fixed")) config.fixed = *fixed;
  const Json* list = read.find("contributor");
  if (list == nullptr || !list->is_array() || list->empty())
    return read.refuse("contributor", "is missing", "write a [[fuse.contributor]] for each");
  for (std::size_t i = 0; i < list->size(); ++i)
    if (std::optional<Contributor> one = read_contributor((*list)[i], where, i, problems))
      config.contributors.push_back(std::move(*one));
  std::sort(config.contributors.begin(),
            config.contributors.end(),
            [](const Contributor& a, const Contributor& b) { return a.id < b.id; });
  for (std::size_t i = 1; i < config.contributors.size(); ++i)
    if (config.contributors[i].id == config.contributors[i - 1].id)
      read.refuse("contributor",
                  fmt::format("names \"{}\" twice", config.contributors[i].id),
                  "give each an id of its own");
}

void read_faults(TableReader& read, Config& config) {
  const Json* faults = read.table("faults");
  if (faults == nullptr) return;
  for (const auto& [id, value] : faults->items()) {
    const bool known = id == "*" || std::any_of(config.contributors.begin(),
                                                config.contributors.end(),
                                                [&](const auto& c) { return c.id == id; });
    if (!known)
      read.refuse("faults", fmt::format("names \"{}\", who is no contributor", id), "or \"*\"");
    const std::optional<Fault> fault =
        value.is_string() ? fault_of(value.get<std::string>()) : std::nullopt;
    if (!fault)
      read.refuse(fmt::format("faults: {}", id),
                  fmt::format("= {} is no fault", value.dump()),
                  "\"fail:0.3\", \"scale:10\", \"flip\" or \"random:1\"");
    else
      config.faults[id] = *fault;
  }
}

}  // namespace ration::fuse
