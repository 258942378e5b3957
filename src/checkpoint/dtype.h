#pragma once

// Number formats of stored tensors, as safetensors names them; those of whole bytes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ration::checkpoint {

enum class DType {
  boolean,
  u8,
  i8,
  u16,
  i16,
  f16,
  bf16,
  u32,
  i32,
  f32,
  u64,
  i64,
  f64,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  c64
};

std::string_view name(DType dtype);  // "BOOL", "U8", "F32", …
std::optional<DType> dtype_of(std::string_view name);
std::uint64_t item_bytes(DType dtype);
std::string dtype_names();  // all of them, with commas

}  // namespace ration::checkpoint
