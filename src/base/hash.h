#pragma once

// Digests: SHA-256 for identity, CRC-32C for torn or damaged lines. Both are our own because the
// trainer links no library but LibTorch; both are tested against published vectors.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ration {

// SHA-256 (FIPS 180-4), fed in pieces.
//   Sha256 hash; hash.update(bytes); std::string hex = hash.hex();
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  void update(std::span<const std::byte> bytes);

  // The 64 hex digits of everything so far. Ends the hash: call once.
  std::string hex();

 private:
  friend std::array<std::string, 2> sha256_hex_of_both(std::string_view, std::string_view);

  std::array<std::uint32_t, 8> state_;
  std::array<unsigned char, 64> buffer_{};
  std::size_t buffered_ = 0;
  std::uint64_t total_bytes_ = 0;
};

std::string sha256_hex(std::string_view bytes);

// The digests of two texts, in little more time than the longer one takes on processors with
// instructions for SHA-256.
std::array<std::string, 2> sha256_hex_of_both(std::string_view first, std::string_view second);

// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected), initial value and final xor all ones.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace ration
