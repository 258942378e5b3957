#include "tables/writer.h"

#include <fmt/format.h>

#include "tables/writers.h"

namespace ration::tables {

std::string text_of(const Cell& cell) {
  return std::visit(
      []<class T>(const T& value) -> std::string {
        if constexpr (std::is_same_v<T, std::monostate>)
          return {};
        else if constexpr (std::is_same_v<T, std::string>)
          return value;
        else
          return fmt::format("{}", value);
      },
      cell);
}

std::unique_ptr<Writer> make_writer(Format format, std::vector<Column> columns, Output output) {
  switch (format) {
    case Format::csv:
      return make_csv_writer(std::move(columns), std::move(output));
    case Format::jsonl:
      return make_jsonl_writer(std::move(columns), std::move(output));
    case Format::parquet:
      break;
  }
  return make_parquet_writer(std::move(columns), std::move(output));
}

}  // namespace ration::tables
