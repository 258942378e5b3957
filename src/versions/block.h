#pragma once

// One block of an object, encoded alone or against a prediction of it.

#include <cstdint>
#include <span>

#include "versions/planes.h"

namespace ration::versions {

enum class BlockMode : std::uint8_t {
  full,       // planes of the numbers
  same,       // the prediction; nothing is stored
  sparse,     // positions of the numbers that differ; planes of their bits XOR the prediction's
  exclusive,  // planes of all bits XOR the prediction's
  difference  // planes of the differences of the bits as whole numbers, zig-zagged
};
constexpr int kBlockModes = 5;

struct EncodedBlock {
  BlockMode mode = BlockMode::full;
  Bytes payload;
};

// Chooses the mode that seems smallest, decodes what it wrote, and takes `full` should that not
// give the same bits. `prediction` is empty or as long as `plain`; `plain` is no longer than
// kBlockBytes and holds whole numbers of `item_bytes`.
EncodedBlock encode_block(std::span<const std::byte> plain,
                          std::span<const std::byte> prediction,
                          std::uint32_t item_bytes);

// `block` holds the prediction and gets the bytes. False where the payload is damaged.
bool decode_block(BlockMode mode,
                  std::span<const std::byte> payload,
                  std::uint32_t item_bytes,
                  std::span<std::byte> block);

// Bytes that encode_block() would need, from a part of the block. For comparing predictions.
double estimated_block_bytes(std::span<const std::byte> plain,
                             std::span<const std::byte> prediction,
                             std::uint32_t item_bytes);

}  // namespace ration::versions
