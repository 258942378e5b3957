#include "scheduler/problems.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::scheduler {
namespace {

std::string key_of(const Error& error) {
  std::string key;
  if (error.where) key = fmt::format("{:09}:{:09}:", error.where->line, error.where->column);
  for (const char c : error.what)
    if (c < '0' || c > '9') key += c;
  return key;
}

}  // namespace

void Problems::add(Error error) {
  const auto [found, is_new] = found_.try_emplace(key_of(error));
  if (is_new) found->second.error = std::move(error);
  if (found->second.last_point != point_) ++found->second.points;
  found->second.last_point = point_;
}

Error Problems::take(const std::string& summary, std::int64_t points) && {
  constexpr std::size_t kMost = 50;
  std::vector<Error> errors;
  for (auto& [key, found] : found_) {
    if (errors.size() == kMost) {
      errors.push_back({.kind = ErrorKind::usage,
                        .what = fmt::format("{} more problems", found_.size() - kMost),
                        .hint = "correct those above first"});
      break;
    }
    if (points > 1 && found.points == points)
      found.error.what += fmt::format(" (in all {} points)", points);
    else if (points > 1)
      found.error.what += fmt::format(" (in {} of {} points)", found.points, points);
    errors.push_back(std::move(found.error));
  }
  return combine(std::move(errors), summary);
}

}  // namespace ration::scheduler
