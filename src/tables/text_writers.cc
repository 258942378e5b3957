// CSV and JSON lines.

#include <cmath>

#include "base/json.h"
#include "fit/csv.h"
#include "tables/writers.h"

namespace ration::tables {
namespace {

constexpr std::size_t kBlock = 1U << 20;  // bytes handed on at once

// A text that begins so is calculated by spreadsheets, whatever quotes stand around it.
std::string harmless(const std::string& text) {
  constexpr std::string_view kFormula = "=+-@\t\r";
  return !text.empty() && kFormula.find(text[0]) != std::string_view::npos ? "'" + text : text;
}

std::string csv_text(const Cell& cell) {
  const auto* text = std::get_if<std::string>(&cell);
  return text != nullptr ? fit::csv_cell(harmless(*text)) : text_of(cell);
}

std::string json_text(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell))
    return Json(*text).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (const auto* real = std::get_if<double>(&cell)) {
    if (std::isnan(*real)) return "null";
    if (std::isinf(*real)) return *real > 0 ? R"("inf")" : R"("-inf")";
  }
  return cell.index() == 0 ? "null" : text_of(cell);
}

class TextWriter : public Writer {
 public:
  explicit TextWriter(Output output) : output_(std::move(output)) {}

  Result<void> add(const Row& row) override {
    append(row, text_);
    return text_.size() < kBlock ? Result<void>() : finish();
  }
  Result<void> finish() override {
    Result<void> done = output_(text_);
    text_.clear();
    return done;
  }

 protected:
  virtual void append(const Row& row, std::string& text) const = 0;
  std::string text_;  // not handed on yet

 private:
  Output output_;
};

class CsvWriter final : public TextWriter {
 public:
  CsvWriter(const std::vector<Column>& columns, Output output) : TextWriter(std::move(output)) {
    Row heading;
    for (const Column& column : columns) heading.emplace_back(column.name);
    append(heading, text_);
  }

 private:
  void append(const Row& row, std::string& text) const override {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) text += ',';
      text += csv_text(row[i]);
    }
    text += '\n';
  }
};

class JsonlWriter final : public TextWriter {
 public:
  JsonlWriter(const std::vector<Column>& columns, Output output) : TextWriter(std::move(output)) {
    for (const Column& column : columns) keys_.push_back(Json(column.name).dump() + ":");
  }

 private:
  void append(const Row& row, std::string& text) const override {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i > 0 ? ',' : '{';
      text += keys_[i];
      text += json_text(row[i]);
    }
    text += "}\n";
  }

  std::vector<std::string> keys_;
};

}  // namespace

std::unique_ptr<Writer> make_csv_writer(std::vector<Column> columns, Output output) {
  return std::make_unique<CsvWriter>(columns, std::move(output));
}

std::unique_ptr<Writer> make_jsonl_writer(std::vector<Column> columns, Output output) {
  return std::make_unique<JsonlWriter>(columns, std::move(output));
}

}  // namespace ration::tables
