#pragma once

// The tensors that all inputs share, and where their bytes lie. For this room and `region`.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "merge/merge.h"

namespace ration::merge {

// One tensor of one input.
struct Source {
  std::string_view model;  // its name
  const checkpoint::Checkpoint* checkpoint = nullptr;
  const checkpoint::TensorInfo* info = nullptr;
  const std::byte* bytes = nullptr;  // null where there is none
};

struct Tensor {
  checkpoint::TensorInfo out;                        // as the output holds it
  checkpoint::DType dtype = checkpoint::DType::f32;  // of the inputs
  std::uint64_t count = 0;                           // elements of the output
  std::uint64_t flat = 0;  // its first element among those of all merged tensors
  bool merged = true;      // false: copied from `origin`
  Source origin;           // base, or the first model
  Source base;
  std::vector<Source> models;
  std::vector<Source> statistics;  // empty, or one a model
};

struct Layout {
  std::vector<Tensor> tensors;  // byte-wise order of name
  std::uint64_t elements = 0;   // of merged tensors
  std::uint64_t input_bytes = 0;
  std::vector<std::string> warnings;
};

// Refused with ErrorKind::input: what merge.h says of names, shapes, dtypes and whole numbers, and
// statistics that are missing or of another shape.
Result<Layout> match(const Recipe& recipe, const Inputs& inputs, const Options& options);

// The elements of a shape.
std::uint64_t elements(const std::vector<std::uint64_t>& shape);

// Why a number of this tensor cannot be used: an input's file that lost bytes; else the first NaN
// or infinity of an input in order of index; else, where the method subtracts the base, the first
// difference that overflows; else that the result at `element` is beyond the range of the output's
// dtype.
Error refuse_number(const Tensor& tensor, std::uint64_t element, bool subtracts);

// The first of `bytes` bytes in which two tensors differ; their memory is let go on the way.
std::optional<std::uint64_t> first_difference(const Source& a,
                                              const Source& b,
                                              std::uint64_t bytes);

}  // namespace ration::merge
