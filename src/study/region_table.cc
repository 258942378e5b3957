#include "study/region_table.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/text.h"

namespace ration::study {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 53;

// Reads the members of one table and keeps every problem; what nobody asked for is one, too.
class Reader {
 public:
  Reader(const Json& table, std::string title, std::string file, std::vector<Error>& problems)
      : table_(table), title_(std::move(title)), file_(std::move(file)), problems_(problems) {}

  void text(const char* key, std::string& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return refuse(key, "must be a text");
    into = value->get<std::string>();
  }
  void choice(const char* key, std::string& into, const std::vector<std::string>& allowed) {
    text(key, into);
    if (std::find(allowed.begin(), allowed.end(), into) == allowed.end())
      refuse(key, fmt::format("is \"{}\"; allowed: {}", into, fmt::join(allowed, ", ")));
  }
  void whole(const char* key, std::int64_t low, std::int64_t high, std::int64_t& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (const std::optional<std::int64_t> number = whole_of(*value, ""))
      if (*number >= low && *number <= high) {
        into = *number;
        return;
      }
    refuse(key, fmt::format("must be a whole number from {} to {}", low, high));
  }
  void positive(const char* key, double& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number() || !(value->get<double>() > 0))
      return refuse(key, "must be a number above 0");
    into = value->get<double>();
  }
  // A text, or a list of texts.
  void texts(const char* key, std::vector<std::string>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const Json list = value->is_array() ? *value : Json::array({*value});
    std::vector<std::string> read;
    for (const Json& each : list) {
      if (!each.is_string()) return refuse(key, "must be a list of texts");
      read.push_back(each.get<std::string>());
    }
    into = std::move(read);
  }
  void tokens(const char* key, std::vector<std::int64_t>& into) {
    const Json* value = find(key);
    if (value == nullptr) return refuse(key, "is missing", "for example [\"8Ktok\", \"32Ktok\"]");
    const Json list = value->is_array() ? *value : Json::array({*value});
    std::set<std::int64_t> budgets;
    for (const Json& each : list) {
      const std::optional<std::int64_t> number = whole_of(each, "tok");
      if (!number || *number < 1)
        return refuse(key, "must be numbers of tokens above 0", "for example [\"8Ktok\"]");
      budgets.insert(*number);
    }
    if (budgets.empty()) return refuse(key, "must name a budget", "for example [\"8Ktok\"]");
    into.assign(budgets.begin(), budgets.end());
  }
  void words(const char* key, std::map<std::string, std::string>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_object()) return refuse(key, "must be a table of texts");
    for (const auto& [name, word] : value->items()) {
      if (!word.is_string()) return refuse(key, fmt::format("gives {} no text", name));
      into[name] = word.get<std::string>();
    }
  }
  const Json* find(const char* key) {
    known_.emplace_back(key);
    const auto found = table_.find(key);
    return found == table_.end() ? nullptr : &*found;
  }
  void refuse(const std::string& key, std::string_view why, std::string hint = {}) {
    problems_.push_back({.kind = ErrorKind::usage,
                         .what = fmt::format("{}: {} {}", file_, full(key), why),
                         .hint = std::move(hint)});
  }
  void refuse_unknown() {
    for (const auto& [key, value] : table_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        refuse(key,
               fmt::format("is no key of {}", title_),
               nearest(key, known_) ? did_you_mean(key, known_)
                                    : fmt::format("known: {}", fmt::join(known_, ", ")));
  }

 private:
  std::string full(const std::string& key) const { return fmt::format("{} {}", title_, key); }

  static std::optional<std::int64_t> whole_of(const Json& value, std::string_view unit) {
    double number = NAN;
    if (value.is_number()) number = value.get<double>();
    if (value.is_string()) number = parse_quantity(value.get<std::string>(), unit).value_or(NAN);
    if (!(std::abs(number) <= static_cast<double>(kLargest)) || number != std::floor(number))
      return std::nullopt;
    return static_cast<std::int64_t>(number);
  }

  const Json& table_;
  std::string title_, file_;
  std::vector<Error>& problems_;
  std::vector<std::string> known_ = {};
};

CentroidTable read_centroid(const Json& table,
                            const std::string& file,
                            std::vector<Error>& problems) {
  CentroidTable centroid;
  Reader read(table, "[region.centroid]", file, problems);
  read.tokens("tokens", centroid.tokens);
  read.texts("tune", centroid.tune);
  const std::set<std::string> allowed = {"all", "head", "norms"};
  for (const std::string& tune : centroid.tune)
    if (!allowed.contains(tune))
      read.refuse("tune", fmt::format("has \"{}\"; allowed: {}", tune, fmt::join(allowed, ", ")));
  if (centroid.tune.empty()) read.refuse("tune", "is empty", "for example [\"all\", \"norms\"]");
  read.positive("lr", centroid.lr);
  read.whole("seeds", 1, 1000, centroid.seeds);
  read.whole("replicas", 0, kLargest, centroid.replicas);
  read.words("control", centroid.control);
  read.refuse_unknown();
  return centroid;
}

}  // namespace

Result<RegionTable> region_table(const Json& table, const std::string& file) {
  RegionTable region;
  std::vector<Error> problems;
  Reader read(table, "[region]", file, problems);
  read.text("base", region.base);
  read.text("second_start", region.second_start);
  read.texts("amounts", region.amounts);
  read.words("family", region.family);
  read.whole("lines", 1, 1000, region.lines);
  read.whole("hull_samples", 2, 4096, region.hull_samples);
  read.whole("controls", 0, 1000, region.controls);
  read.whole("windows", 0, kLargest, region.windows);
  read.whole("permutations", 100, 1'000'000, region.permutations);
  read.whole("draws", 100, 1'000'000, region.draws);
  read.whole("seed", 0, kLargest, region.seed);
  read.whole("parts", 1, 1024, region.parts);
  read.choice("probe", region.probe, {"none", "head_bias"});
  if (const Json* centroid = read.find("centroid"); centroid != nullptr) {
    if (centroid->is_object())
      region.centroid = read_centroid(*centroid, file, problems);
    else
      read.refuse("centroid", "must be a table", "write it as [region.centroid]");
  }
  read.refuse_unknown();
  if (problems.empty()) return region;
  return combine(std::move(problems), fmt::format("{}: [region] cannot be used", file));
}

}  // namespace ration::study
