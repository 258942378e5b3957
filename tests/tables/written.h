#pragma once

#include "tables/writer.h"

namespace ration::tables {

// The bytes of a table with these rows.
inline std::string written(Format format,
                           const std::vector<Column>& columns,
                           const std::vector<Row>& rows) {
  std::string bytes;
  const auto writer = make_writer(format, columns, [&](std::string_view more) {
    bytes += more;
    return Result<void>();
  });
  for (const Row& row : rows) EXPECT_TRUE(writer->add(row));
  EXPECT_TRUE(writer->finish());
  return bytes;
}

}  // namespace ration::tables
