#include "base/hash.h"

#include <algorithm>
#include <cstring>

#include "base/sha256_blocks.h"

namespace ration {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  constexpr std::uint32_t kReflectedPolynomial = 0x82F63B78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflectedPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

constexpr std::uint32_t crc32c_by_table(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes)
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

static_assert(crc32c_by_table("123456789") == 0xE3069283, "the check value of the catalogue");

#if defined(__x86_64__)
// SSE 4.2 has an instruction for this very polynomial: eight bytes at once.
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::string_view bytes) {
  std::uint64_t crc = 0xFFFFFFFF;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto low = static_cast<std::uint32_t>(crc);
  for (const char c : bytes) low = __builtin_ia32_crc32qi(low, static_cast<unsigned char>(c));
  return ~low;
}
#endif

}  // namespace

Sha256::Sha256() : state_(kSha256Start) {}

void Sha256::update(std::span<const std::byte> bytes) {
  update(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void Sha256::update(std::string_view bytes) {
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  total_bytes_ += left;
  if (buffered_ > 0) {
    const std::size_t take = std::min(left, buffer_.size() - buffered_);
    std::memcpy(buffer_.data() + buffered_, data, take);
    buffered_ += take, data += take, left -= take;
    if (buffered_ < buffer_.size()) return;
    mix_sha256(state_, buffer_.data(), 1);
    buffered_ = 0;
  }
  const std::size_t blocks = left / buffer_.size();
  mix_sha256(state_, data, blocks);
  data += blocks * buffer_.size(), left -= blocks * buffer_.size();
  if (left > 0) std::memcpy(buffer_.data(), data, left);
  buffered_ = left;
}

std::string Sha256::hex() { return end_sha256(state_, {buffer_.data(), buffered_}, total_bytes_); }

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::array<std::string, 2> sha256_hex_of_both(std::string_view first, std::string_view second) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  std::array<Sha256, 2> hashes;
  const std::size_t blocks = std::min(first.size(), second.size()) / 64;
  mix_two_sha256({&hashes[0].state_, &hashes[1].state_}, {bytes(first), bytes(second)}, blocks);
  for (Sha256& hash : hashes) hash.total_bytes_ = 64 * blocks;
  hashes[0].update(first.substr(64 * blocks));
  hashes[1].update(second.substr(64 * blocks));
  return {hashes[0].hex(), hashes[1].hex()};
}

std::uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_by_instruction(bytes);
#endif
  return crc32c_by_table(bytes);
}

}  // namespace ration
