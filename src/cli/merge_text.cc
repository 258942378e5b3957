#include "cli/merge_text.h"

#include <fmt/format.h>

#include "cli/table.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

double mean_cosine(const merge::Comparison& row) {
  double sum = 0;
  std::size_t pairs = 0;
  for (std::size_t a = 0; a < row.models(); ++a)
    for (std::size_t b = 0; b < a; ++b) sum += row.cosine(a, b), ++pairs;
  return pairs == 0 ? 0 : sum / static_cast<double>(pairs);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

std::string comparison_table(const std::vector<merge::Comparison>& rows, double k, bool has_base) {
  const std::string_view vector = has_base ? "tau" : "theta";
  const std::size_t models = rows.back().models();
  std::vector<std::vector<std::string>> cells = {{"tensor", "elements"}};
  for (std::size_t i = 0; i < models; ++i)
    cells[0].push_back(models == 1 ? fmt::format("||{}||", vector)
                                   : fmt::format("||{} {}||", vector, i + 1));
  cells[0].push_back("changed");
  if (models > 1) {
    cells[0].insert(cells[0].end(), {"cosine", "conflict"});
    if (k < 1) cells[0].push_back(fmt::format("in top {}", percent(k)));
  }
  for (const merge::Comparison& row : rows) {
    std::vector<std::string> line = {row.tensor.empty() ? "all" : row.tensor,
                                     fmt::format("{}", row.elements)};
    for (std::size_t i = 0; i < models; ++i) line.push_back(fmt::format("{:.4g}", row.norm(i)));
    line.push_back(percent(row.elements == 0 ? 0
                                             : static_cast<double>(row.changed) /
                                                   static_cast<double>(row.elements)));
    if (models > 1) {
      line.push_back(fmt::format("{:.3f}", mean_cosine(row)));
      line.push_back(percent(row.conflict_share()));
      if (k < 1) line.push_back(percent(row.trimmed_conflict_share()));
    }
    cells.push_back(std::move(line));
  }
  return without_control_bytes(table(cells));
}

Json comparison_json(const std::vector<merge::Comparison>& rows) {
  Json list = Json::array();
  for (const merge::Comparison& row : rows) {
    Json norms = Json::array(), cosines = Json::array();
    for (std::size_t a = 0; a < row.models(); ++a) {
      norms.push_back(row.norm(a));
      Json line = Json::array();
      for (std::size_t b = 0; b < row.models(); ++b) line.push_back(row.cosine(a, b));
      cosines.push_back(std::move(line));
    }
    list.push_back({{"tensor", row.tensor.empty() ? Json() : Json(row.tensor)},
                    {"elements", row.elements},
                    {"changed", row.changed},
                    {"norms", norms},
                    {"cosines", cosines},
                    {"conflict_share", row.conflict_share()},
                    {"trimmed_conflict_share", row.trimmed_conflict_share()}});
  }
  return list;
}

}  // namespace ration::cli
