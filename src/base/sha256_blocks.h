#pragma once

// SHA-256's compression function (FIPS 180-4). Many processors have instructions for it, about
// five times as fast as plain code, which decides how soon a run on large data starts.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ration {

using Sha256State = std::array<std::uint32_t, 8>;

inline constexpr std::size_t kSha256Block = 64;  // bytes
inline constexpr Sha256State kSha256Start = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// Mixes blocks of 64 bytes into the state, in the fastest way that this processor has.
void mix_sha256(Sha256State& state, const unsigned char* data, std::size_t blocks);

// The same for two states at a time: an instruction waits for the one before it, not for that of
// the other state.
void mix_two_sha256(std::array<Sha256State*, 2> states,
                    std::array<const unsigned char*, 2> data,
                    std::size_t blocks);

// The first in plain code.
void mix_sha256_plainly(Sha256State& state, const unsigned char* data, std::size_t blocks);

// The 64 hex digits: `rest` is what follows the whole blocks mixed so far, less than a block, and
// `total` the length of everything in bytes.
std::string end_sha256(Sha256State state, std::span<const unsigned char> rest, std::uint64_t total);

}  // namespace ration
