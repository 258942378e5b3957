#include "git/difference_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/table.h"
#include "cli/terminal_text.h"

namespace ration::git {
namespace {

using versions::Change;
using versions::Difference;
using versions::ManifestTensor;
using versions::Movement;
using versions::TensorChange;

std::string shape_text(const ManifestTensor& tensor) {
  return tensor.shape.empty() ? "scalar" : fmt::format("{}", fmt::join(tensor.shape, "x"));
}

// "F32", or "F32 -> F16" where the two sides differ.
template <class Text>
std::string both(const TensorChange& change, const Text& text) {
  if (!change.before) return text(*change.after);
  if (!change.after) return text(*change.before);
  const std::string before = text(*change.before);
  const std::string after = text(*change.after);
  return before == after ? before : before + " -> " + after;
}

std::string counts(std::uint64_t before, std::uint64_t after) {
  return before == after ? fmt::format("{}", before) : fmt::format("{} -> {}", before, after);
}

struct Columns {
  bool nan = false;
  bool infinite = false;
};

std::vector<std::string> heading(const Columns& columns) {
  std::vector<std::string> cells = {"tensor",
                                    "change",
                                    "dtype",
                                    "shape",
                                    "entries",
                                    "|delta|/|old|",
                                    "cosine",
                                    "max |delta|",
                                    "rank"};
  if (columns.nan) cells.push_back("NaN");
  if (columns.infinite) cells.push_back("Inf");
  return cells;
}

std::vector<std::string> row_of(const TensorChange& change, const Columns& columns) {
  std::vector<std::string> cells = {
      change.name,
      std::string(name(change.change)),
      both(change, [](const ManifestTensor& t) { return std::string(checkpoint::name(t.dtype)); }),
      both(change, shape_text)};
  cells.resize(heading(columns).size(), change.change == Change::modified ? "-" : "");
  if (!change.movement) return cells;
  const Movement& moved = *change.movement;
  const checkpoint::DType dtype = change.after->dtype;
  cells[4] = percent(moved.changed_share());
  if (versions::has_sums(dtype)) {
    cells[5] = short_number(moved.relative());
    cells[6] = fmt::format("{:.6f}", moved.cosine());
  }
  if (versions::has_largest(dtype)) cells[7] = short_number(moved.tally.largest);
  if (moved.rank) cells[8] = fmt::format("{}", *moved.rank);
  if (columns.nan) cells[9] = counts(moved.tally.old_nan, moved.tally.new_nan);
  if (columns.infinite) cells.back() = counts(moved.tally.old_infinite, moved.tally.new_infinite);
  return cells;
}

std::string tensor_table(const Difference& difference) {
  Columns columns;
  for (const TensorChange& change : difference.tensors) {
    if (!change.movement) continue;
    const versions::Tally& tally = change.movement->tally;
    columns.nan = columns.nan || tally.old_nan + tally.new_nan > 0;
    columns.infinite = columns.infinite || tally.old_infinite + tally.new_infinite > 0;
  }
  std::vector<std::vector<std::string>> rows = {heading(columns)};
  for (const TensorChange& change : difference.tensors)
    if (change.change != Change::same) rows.push_back(row_of(change, columns));
  return rows.size() == 1 ? "" : cli::table(rows);
}

std::size_t unchanged(const Difference& difference) {
  return static_cast<std::size_t>(std::count_if(
      difference.tensors.begin(), difference.tensors.end(), [](const TensorChange& change) {
        return change.change == Change::same;
      }));
}

std::string value_text(const std::optional<std::string>& value) {
  return value ? Json(*value).dump(-1, ' ', false, Json::error_handler_t::replace) : "none";
}

Json text_json(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

Json tensor_json(const std::optional<ManifestTensor>& tensor) {
  if (!tensor) return {};
  return {{"dtype", std::string(checkpoint::name(tensor->dtype))}, {"shape", tensor->shape}};
}

Json movement_json(const Movement& moved, checkpoint::DType dtype) {
  Json json = {{"elements", moved.elements},
               {"changed", moved.tally.changed},
               {"changed_share", moved.changed_share()}};
  if (versions::has_largest(dtype)) json["max_delta"] = moved.tally.largest;
  if (!versions::has_sums(dtype)) return json;
  json["relative"] = moved.relative();  // null where it is infinite
  json["cosine"] = moved.cosine();
  json["rank"] = moved.rank ? Json(*moved.rank) : Json();
  json["nan"] = {moved.tally.old_nan, moved.tally.new_nan};
  json["infinite"] = {moved.tally.old_infinite, moved.tally.new_infinite};
  return json;
}

}  // namespace

std::string percent(double share) { return fmt::format("{:.3g} %", 100 * share); }
std::string short_number(double number) { return fmt::format("{:.4g}", number); }

std::string difference_table(const Difference& difference) {
  if (!difference.file_changed && difference.unread.empty()) return {};
  std::string text = tensor_table(difference);
  if (difference.opaque)
    text += fmt::format("bytes changed ({} -> {}); not a safetensors file on both sides\n",
                        difference.bytes_before,
                        difference.bytes_after);
  for (const versions::MetadataChange& change : difference.metadata)
    text += fmt::format(
        "metadata {}: {} -> {}\n", change.key, value_text(change.before), value_text(change.after));
  if (text.empty()) text = "only the layout of the file changed: order of tensors, or padding\n";
  if (const std::size_t same = unchanged(difference); same > 0)
    text += fmt::format("{} the same\n",
                        same == 1 ? "1 tensor is" : fmt::format("{} tensors are", same));
  for (const std::string& reason : difference.unread) text += "not compared: " + reason + "\n";
  return cli::without_control_bytes(text);
}

Json to_json(const Difference& difference) {
  Json tensors = Json::array();
  for (const TensorChange& change : difference.tensors) {
    Json row = {{"name", change.name},
                {"change", std::string(name(change.change))},
                {"before", tensor_json(change.before)},
                {"after", tensor_json(change.after)}};
    if (change.movement) row.update(movement_json(*change.movement, change.after->dtype));
    tensors.push_back(std::move(row));
  }
  Json metadata = Json::array();
  for (const versions::MetadataChange& change : difference.metadata)
    metadata.push_back({{"key", change.key},
                        {"before", text_json(change.before)},
                        {"after", text_json(change.after)}});
  return {{"opaque", difference.opaque},
          {"bytes_before", difference.bytes_before},
          {"bytes_after", difference.bytes_after},
          {"tensors", std::move(tensors)},
          {"metadata", std::move(metadata)},
          {"unread", difference.unread}};
}

}  // namespace ration::git
