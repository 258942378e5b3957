#include "checkpoint/dtype.h"

#include <array>

namespace ration::checkpoint {
namespace {

struct Row {
  std::string_view name;
  std::uint64_t bytes;
};

constexpr std::array<Row, 19> kRows = {{{"BOOL", 1},
                                        {"U8", 1},
                                        {"I8", 1},
                                        {"U16", 2},
                                        {"I16", 2},
                                        {"F16", 2},
                                        {"BF16", 2},
                                        {"U32", 4},
                                        {"I32", 4},
                                        {"F32", 4},
                                        {"U64", 8},
                                        {"I64", 8},
                                        {"F64", 8},
                                        {"F8_E4M3", 1},
                                        {"F8_E5M2", 1},
                                        {"F8_E8M0", 1},
                                        {"F8_E4M3FNUZ", 1},
                                        {"F8_E5M2FNUZ", 1},
                                        {"C64", 8}}};

}  // namespace

std::string_view name(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> dtype_of(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

std::uint64_t item_bytes(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].bytes; }

std::string dtype_names() {
  std::string names;
  for (const Row& row : kRows) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

}  // namespace ration::checkpoint
