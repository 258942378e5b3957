#include "base/sha256_blocks.h"

#include <bit>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace ration {

namespace {

// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t load_big_endian(const unsigned char* p) {
  return (std::uint32_t{p[0]} << 24) | (std::uint32_t{p[1]} << 16) | (std::uint32_t{p[2]} << 8) |
         p[3];
}

}  // namespace

void mix_sha256_plainly(Sha256State& state, const unsigned char* data, std::size_t blocks) {
  for (; blocks > 0; --blocks, data += 64) {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i) w[i] = load_big_endian(data + 4 * i);
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 =
          std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const std::uint32_t choice = (e & f) ^ (~e & g);
      const std::uint32_t t1 = h + s1 + choice + kRound[i] + w[i];
      const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + s0 + majority;
    }
    const Sha256State mixed = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += mixed[i];
  }
}

#if defined(__x86_64__)

namespace {

bool has_sha256_instructions() {
  constexpr unsigned int kSha = 1U << 29;  // leaf 7, EBX
  static const bool has = [] {
    unsigned int a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (b & kSha) != 0;
  }();
  return has;
}

// The instructions keep the state as the words ABEF and CDGH and do two rounds each.
template <std::size_t kStates>
[[gnu::target("sha,sse4.1")]] void mix_with_instructions(
    std::array<Sha256State*, kStates> states,
    std::array<const unsigned char*, kStates> data,
    std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203);
  __m128i abef[kStates], cdgh[kStates];
  for (std::size_t s = 0; s < kStates; ++s) {
    const auto* stored = reinterpret_cast<const __m128i*>(states[s]->data());
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(stored), 0xB1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(stored + 1), 0x1B);
    abef[s] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[s] = _mm_blend_epi16(efgh, cdab, 0xF0);
  }

  for (; blocks > 0; --blocks) {
    __m128i abef_before[kStates], cdgh_before[kStates];
    __m128i w[kStates][4];  // the last sixteen words of the schedule
    for (std::size_t s = 0; s < kStates; ++s) {
      abef_before[s] = abef[s];
      cdgh_before[s] = cdgh[s];
      const auto* words = reinterpret_cast<const __m128i*>(data[s]);
      for (std::size_t i = 0; i < 4; ++i)
        w[s][i] = _mm_shuffle_epi8(_mm_loadu_si128(words + i), big_endian);
      data[s] += 64;
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) {  // four rounds each
      const __m128i constants =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(kRound.data()) + i);
#pragma GCC unroll 2
      for (std::size_t s = 0; s < kStates; ++s) {
        __m128i& now = w[s][i % 4];
        const __m128i sum = _mm_add_epi32(now, constants);
        cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], sum);
        abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], _mm_shuffle_epi32(sum, 0x0E));
        if (i >= 12) continue;  // the last words are made
        const __m128i newest = w[s][(i + 3) % 4];
        const __m128i seven_back = _mm_alignr_epi8(newest, w[s][(i + 2) % 4], 4);
        now = _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(now, w[s][(i + 1) % 4]), seven_back), newest);
      }
    }
    for (std::size_t s = 0; s < kStates; ++s) {
      abef[s] = _mm_add_epi32(abef[s], abef_before[s]);
      cdgh[s] = _mm_add_epi32(cdgh[s], cdgh_before[s]);
    }
  }

  for (std::size_t s = 0; s < kStates; ++s) {
    auto* stored = reinterpret_cast<__m128i*>(states[s]->data());
    const __m128i feba = _mm_shuffle_epi32(abef[s], 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh[s], 0xB1);
    _mm_storeu_si128(stored, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(stored + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

}  // namespace

void mix_sha256(Sha256State& state, const unsigned char* data, std::size_t blocks) {
  if (has_sha256_instructions())
    mix_with_instructions<1>({&state}, {data}, blocks);
  else
    mix_sha256_plainly(state, data, blocks);
}

void mix_two_sha256(std::array<Sha256State*, 2> states,
                    std::array<const unsigned char*, 2> data,
                    std::size_t blocks) {
  if (has_sha256_instructions()) return mix_with_instructions<2>(states, data, blocks);
  for (std::size_t s = 0; s < 2; ++s) mix_sha256_plainly(*states[s], data[s], blocks);
}

#else

void mix_sha256(Sha256State& state, const unsigned char* data, std::size_t blocks) {
  mix_sha256_plainly(state, data, blocks);
}

void mix_two_sha256(std::array<Sha256State*, 2> states,
                    std::array<const unsigned char*, 2> data,
                    std::size_t blocks) {
  for (std::size_t s = 0; s < 2; ++s) mix_sha256_plainly(*states[s], data[s], blocks);
}

#endif

std::string end_sha256(Sha256State state,
                       std::span<const unsigned char> rest,
                       std::uint64_t total) {
  std::string end(rest.begin(), rest.end());
  end += '\x80';
  end.append((2 * kSha256Block - 8 - end.size()) % kSha256Block, '\0');
  for (int shift = 56; shift >= 0; shift -= 8) end += static_cast<char>(8 * total >> shift);
  mix_sha256(state, reinterpret_cast<const unsigned char*>(end.data()), end.size() / kSha256Block);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[(word >> shift) & 15];
  return text;
}

}  // namespace ration
