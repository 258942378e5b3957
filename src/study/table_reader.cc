#include "study/table_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text.h"

namespace ration::study {
namespace {

std::optional<double> quantity(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const Result<double> parsed = parse_quantity(value.get<std::string>(), "tok");
  return parsed ? std::optional(*parsed) : std::nullopt;
}

}  // namespace

const Json* TableReader::find(const std::string& key) {
  known_.push_back(key);
  const auto at = table_.find(key);
  return at == table_.end() ? nullptr : &*at;
}

void TableReader::whole(const std::string& key, double low, double high, std::int64_t& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  const std::optional<double> number = quantity(*value);
  if (!number || *number != std::floor(*number) || *number < low || *number > high)
    return refuse_value(
        key, *value, fmt::format("a whole number from {:.10g} to {:.10g}", low, high));
  target = static_cast<std::int64_t>(*number);
}

void TableReader::positive(const std::string& key, double& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_number() || !(value->get<double>() > 0))
    return refuse_value(key, *value, "a number above 0");
  target = value->get<double>();
}

void TableReader::flag(const std::string& key, bool& target) {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return refuse_value(key, *value, "true or false");
  target = value->get<bool>();
}

bool TableReader::texts(const std::string& key, std::vector<std::string>& target) {
  const Json* value = find(key);
  if (value == nullptr) return false;
  const auto is_text = [](const Json& each) { return each.is_string(); };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_text)) {
    refuse_value(key, *value, "a list of texts");
    return false;
  }
  target = value->get<std::vector<std::string>>();
  return true;
}

void TableReader::refuse(const std::string& what, const std::string& hint) const {
  problems_.push_back({.kind = ErrorKind::usage,
                       .what = fmt::format("{}: {} {}", where_, title_, what),
                       .hint = hint});
}

void TableReader::refuse_others() const {
  for (const auto& [key, value] : table_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string meant = did_you_mean(key, known_);
    refuse("has no key " + key,
           meant.empty() ? fmt::format("known: {}", fmt::join(known_, ", ")) : meant);
  }
}

void TableReader::refuse_value(const std::string& key,
                               const Json& value,
                               const std::string& hint) const {
  refuse(fmt::format("has {} = {}", key, value.dump()), hint);
}

}  // namespace ration::study
