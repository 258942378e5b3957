#pragma once

// Numbers taken apart: their first bytes, then their second bytes, and so on, because the bytes of
// one place resemble each other. Each plane is packed by zstd, or kept where that saves nothing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ration::versions {

using Bytes = std::vector<std::byte>;

// Appends the packed bytes: a length of four bytes, then zstd's frame, or, where the length is that
// of the bytes, the bytes.
void pack(std::span<const std::byte> plain, Bytes& to);
// Takes what pack() appended from the front of `packed` and fills `plain`. False where it is
// damaged or of another length.
bool unpack(std::span<const std::byte>& packed, std::span<std::byte> plain);

// The same for the planes of numbers of `item_bytes` each.
void pack_planes(std::span<const std::byte> numbers, std::uint32_t item_bytes, Bytes& to);
// Readable by unpack_planes(), nothing being compressed.
void keep_planes(std::span<const std::byte> numbers, std::uint32_t item_bytes, Bytes& to);
bool unpack_planes(std::span<const std::byte>& packed,
                   std::uint32_t item_bytes,
                   std::span<std::byte> numbers);

// Bytes that pack_planes() will need, from the frequencies of each plane's bytes.
double estimated_bytes(std::span<const std::byte> numbers, std::uint32_t item_bytes);

}  // namespace ration::versions
