#pragma once

// The formats behind make_writer(); private to the room.

#include "tables/writer.h"

namespace ration::tables {

std::unique_ptr<Writer> make_csv_writer(std::vector<Column> columns, Output output);
std::unique_ptr<Writer> make_jsonl_writer(std::vector<Column> columns, Output output);
std::unique_ptr<Writer> make_parquet_writer(std::vector<Column> columns, Output output);

}  // namespace ration::tables
