#include "fit/where.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace ration::fit {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

}  // namespace

Result<RowFilter::Comparison> RowFilter::parse_comparison(std::string_view text, const Csv& csv) {
  struct Symbol {
    std::string_view text;
    Operator op;
  };
  constexpr std::array<Symbol, 7> kSymbols = {{{"!=", Operator::unequal},
                                               {"<=", Operator::at_most},
                                               {">=", Operator::at_least},
                                               {"==", Operator::equal},
                                               {"=", Operator::equal},
                                               {"<", Operator::less},
                                               {">", Operator::greater}}};
  const std::size_t at = text.find_first_of("=!<>");
  for (const Symbol& symbol : kSymbols) {
    if (at == std::string_view::npos || !text.substr(at).starts_with(symbol.text)) continue;
    const std::string name(trim(text.substr(0, at)));
    const std::string value(trim(text.substr(at + symbol.text.size())));
    const int column = csv.find(name);
    if (column < 0) {
      std::string hint = did_you_mean(name, csv.names());
      if (hint.empty()) hint = fmt::format("its columns: {}", fmt::join(csv.names(), ", "));
      return wrong(fmt::format("--where: {} has no column \"{}\"", csv.file, name), hint);
    }
    const bool ordered = symbol.op != Operator::equal && symbol.op != Operator::unequal;
    if (ordered && !number(value))
      return wrong(fmt::format("--where: \"{}\" is not a number to compare with", value),
                   "text can be compared with = and != only");
    return Comparison{static_cast<std::size_t>(column), symbol.op, value};
  }
  return wrong(fmt::format("--where: \"{}\" is not a comparison", trim(text)),
               "write it like: split=fit and epochs<=20");
}

Result<RowFilter> RowFilter::parse(std::string_view text, const Csv& csv) {
  constexpr std::string_view kAnd = " and ";
  RowFilter filter;
  std::vector<Error> problems;
  while (!trim(text).empty()) {
    const std::string_view part = text.substr(0, text.find(kAnd));
    text.remove_prefix(std::min(text.size(), part.size() + kAnd.size()));
    Result<Comparison> comparison = parse_comparison(part, csv);
    if (comparison)
      filter.comparisons_.push_back(std::move(*comparison));
    else
      problems.push_back(std::move(comparison).error());
  }
  if (!problems.empty()) return combine(std::move(problems), "--where cannot be used");
  return filter;
}

bool RowFilter::takes(const CsvRow& row) const {
  for (const Comparison& comparison : comparisons_)
    if (!holds(comparison, row.cells[comparison.column].text)) return false;
  return true;
}

bool RowFilter::holds(const Comparison& comparison, const std::string& cell) {
  const std::optional<double> left = number(cell);
  const std::optional<double> right = number(comparison.value);
  if (!left || !right) {
    const bool equal = cell == comparison.value;
    if (comparison.op == Operator::equal) return equal;
    return comparison.op == Operator::unequal && !equal;
  }
  switch (comparison.op) {
    case Operator::equal:
      return *left == *right;
    case Operator::unequal:
      return *left != *right;
    case Operator::less:
      return *left < *right;
    case Operator::at_most:
      return *left <= *right;
    case Operator::greater:
      return *left > *right;
    case Operator::at_least:
      return *left >= *right;
  }
  return false;
}

}  // namespace ration::fit
