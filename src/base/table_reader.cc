#include "base/table_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace ration {
namespace {

constexpr std::int64_t kExact = std::int64_t{1} << 53;  // doubles hold all whole numbers up to it

// Long lists and tables are not repeated to the person who wrote them.
std::string text_of(const Json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (!value.is_structured() || text.size() <= kLongest) return text;
  return value.is_array() ? "[…]" : "{…}";
}

std::string one_of(const TableReader::Texts& words) {
  return fmt::format("one of {}", fmt::join(words, ", "));
}

bool contains(const TableReader::Texts& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A value alone stands for a list of one.
std::vector<Json> list_of(const Json& value) {
  return value.is_array() ? value.get<std::vector<Json>>() : std::vector<Json>{value};
}

// NaN where the value is none.
double number_of(const Json& value, TableReader::Unit unit) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string() || !unit) return std::numeric_limits<double>::quiet_NaN();
  return parse_quantity(value.get<std::string>(), *unit)
      .value_or(std::numeric_limits<double>::quiet_NaN());
}

// What the number counts, and how a person may write it: ` of tokens from 1 to 9, or "50Ktok"`.
std::string range_of(const std::string& low, const std::string& high, TableReader::Unit unit) {
  const std::string range = fmt::format(" from {} to {}", low, high);
  if (unit == "tok") return fmt::format(" of tokens{}, or such as \"50Ktok\"", range);
  if (unit == "s") return fmt::format(" of seconds{}, or such as \"30m\"", range);
  return range;
}

}  // namespace

TableReader::TableReader(const Json& table,
                         std::string file,
                         std::string title,
                         std::vector<Error>& problems)
    : table_(table), file_(std::move(file)), title_(std::move(title)), problems_(problems) {}

const Json* TableReader::find(const std::string& key) {
  if (!contains(known_, key)) known_.push_back(key);
  const auto found = table_.find(key);
  return found == table_.end() ? nullptr : &*found;
}

const Json* TableReader::table(const std::string& key) {
  const Json* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  refuse_value(key, *value, "is no table", fmt::format("{} = {{name = value}}", key));
  return nullptr;
}

void TableReader::text(const std::string& key, std::string& target, Empty empty) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return refuse_value(key, *value, "is no text", "write it in quotes");
  if (empty == Empty::refused && value->get<std::string>().empty())
    return refuse(key, "is empty", "give it a text, or leave it out");
  target = value->get<std::string>();
}

void TableReader::choice(const std::string& key, const Texts& allowed, std::string& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_string() || !contains(allowed, value->get<std::string>()))
    return refuse_value(key, *value, "is no choice", one_of(allowed));
  target = value->get<std::string>();
}

void TableReader::texts(const std::string& key, Texts& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  const std::vector<Json> list = list_of(*value);
  if (!std::all_of(list.begin(), list.end(), [](const Json& each) { return each.is_string(); }))
    return refuse_value(
        key, *value, "is no list of texts", fmt::format("{} = [\"one\", \"other\"]", key));
  target.assign(list.begin(), list.end());
}

void TableReader::choices(const std::string& key, const Texts& allowed, Texts& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  target.clear();
  for (const Json& each : list_of(*value))
    if (each.is_string() && contains(allowed, each.get<std::string>()))
      target.push_back(each.get<std::string>());
    else
      refuse_value(key, each, "is no choice", one_of(allowed));
}

void TableReader::words(const std::string& key, std::map<std::string, std::string>& target) {
  const Json* value = table(key);
  if (value == nullptr) return;
  for (const auto& [name, word] : value->items())
    if (word.is_string())
      target[name] = word.get<std::string>();
    else
      refuse_value(fmt::format("{}.{}", key, name), word, "is no text", "write it in quotes");
}

void TableReader::flag(const std::string& key, bool& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_boolean())
    return refuse_value(key, *value, "is neither true nor false", "write true or false, unquoted");
  target = value->get<bool>();
}

void TableReader::number(
    const std::string& key, double low, double high, double& target, Unit unit) {
  const Json* value = find(key);
  if (value == nullptr) return;
  const double read = number_of(*value, unit);
  if (!(read >= low && read <= high))
    return refuse_value(
        key,
        *value,
        std::isnan(read) ? "is no number" : "is out of range",
        "a number" + range_of(fmt::format("{:.12g}", low), fmt::format("{:.12g}", high), unit));
  target = read;
}

void TableReader::positive(const std::string& key, double& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  const double read = number_of(*value, {});
  if (!(read > 0) || !std::isfinite(read))
    return refuse_value(
        key, *value, std::isnan(read) ? "is no number" : "is out of range", "a number above 0");
  target = read;
}

std::optional<std::int64_t> TableReader::whole_of(const std::string& key,
                                                  const Json& value,
                                                  std::int64_t low,
                                                  std::int64_t high,
                                                  Unit unit) const {
  const double read = number_of(value, unit);
  const bool is_whole = std::abs(read) <= static_cast<double>(kExact) && read == std::floor(read);
  // An integer is taken as it is: as a double, 2^53 + 1 would be 2^53.
  const std::int64_t whole = !is_whole                   ? 0
                             : value.is_number_integer() ? value.get<std::int64_t>()
                                                         : static_cast<std::int64_t>(read);
  if (is_whole && whole >= low && whole <= high) return whole;
  refuse_value(key,
               value,
               read == std::floor(read) ? "is out of range" : "is no whole number",
               "a whole number" + range_of(std::to_string(low), std::to_string(high), unit));
  return std::nullopt;
}

void TableReader::wholes(const std::string& key,
                         std::int64_t low,
                         std::int64_t high,
                         std::vector<std::int64_t>& target,
                         Unit unit) {
  const Json* value = find(key);
  if (value == nullptr) return;
  std::vector<std::int64_t> all;
  bool good = true;
  for (const Json& each : list_of(*value)) {
    const std::optional<std::int64_t> read = whole_of(key, each, low, high, unit);
    good = good && read.has_value();
    all.push_back(read.value_or(0));
  }
  if (good) target = std::move(all);
}

void TableReader::refuse(const std::string& key,
                         const std::string& what,
                         const std::string& hint) const {
  refuse_table(fmt::format("{} {}", key, what), hint);
}

void TableReader::refuse_table(const std::string& what, const std::string& hint) const {
  problems_.push_back({.kind = ErrorKind::usage,
                       .what = fmt::format("{}: {} {}", file_, title_, what),
                       .hint = hint});
}

void TableReader::refuse_unknown() const {
  for (const auto& [key, value] : table_.items())
    if (!contains(known_, key)) refuse(key, "is no key here", nearest_or_all(key, known_));
}

void TableReader::refuse_value(const std::string& key,
                               const Json& value,
                               const std::string& what,
                               const std::string& hint) const {
  refuse(key, fmt::format("= {} {}", text_of(value), what), hint);
}

std::string nearest_or_all(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = did_you_mean(word, known);
  return near.empty() ? one_of(known) : near;
}

}  // namespace ration
