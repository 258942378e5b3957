#include "scheduler/problems.h"

#include <fmt/format.h>

#include <algorithm>

namespace ration::scheduler {
namespace {

constexpr std::size_t kMostShown = 50;
constexpr std::size_t kMostKept = 1000;  // bounds the memory that a hostile file can take

std::pair<int, int> place_of(const Error& error) {
  if (!error.where) return {0, 0};
  return {error.where->line, error.where->column};
}

// The text with # for each number.
std::string without_numbers(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto goes_on = [&](char c) { return is_digit(c) || c == '.' || c == 'e' || c == '-'; };
  std::string rest;
  for (std::size_t i = 0; i < text.size(); ++i) {
    rest += is_digit(text[i]) ? '#' : text[i];
    if (is_digit(text[i]))
      while (i + 1 < text.size() && goes_on(text[i + 1])) ++i;
  }
  return rest;
}

}  // namespace

void Problems::add(Error error) {
  const Place place = place_of(error);
  if (unusable_.contains(place)) return;
  std::pair key(place, without_numbers(error.what));
  if (found_.size() >= kMostKept && !found_.contains(key)) {
    too_many_ = true;
    return;
  }
  const auto [found, is_new] = found_.try_emplace(std::move(key));
  if (is_new) found->second.error = std::move(error);
  if (found->second.last_point != point_) ++found->second.points;
  found->second.last_point = point_;
}

void Problems::add_unusable(Error error) {
  const Place place = place_of(error);
  add(std::move(error));
  if (unusable_.size() < kMostKept) unusable_.insert(place);
}

Error Problems::take(const std::string& summary, std::int64_t points) && {
  std::vector<Error> errors;
  for (auto& [key, found] : found_) {
    if (errors.size() == kMostShown) {
      errors.push_back(
          {.kind = ErrorKind::usage,
           .what = fmt::format(
               "{}{} more problems", found_.size() - kMostShown, too_many_ ? " or" : ""),
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
