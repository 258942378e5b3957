#include "versions/planes.h"

#include <zstd.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>

namespace ration::versions {
namespace {

// The bytes of one place differ in frequency more than in order: level 1 finds that, and higher
// ones find little else.
constexpr int kLevel = 1;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// A context is a few hundred KB to set up: one a thread.
ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  return context.get();
}

using Frequencies = std::array<std::uint32_t, 256>;

// Bits of all bytes under their own frequencies.
double entropy_bits(const Frequencies& frequencies, std::size_t count) {
  double bits = 0;
  for (const std::uint32_t n : frequencies)
    if (n > 0) bits += n * std::log2(static_cast<double>(count) / n);
  return bits;
}

Frequencies frequencies_of(std::span<const std::byte> bytes, std::size_t first, std::size_t step) {
  // Four tables, because a counter that was just raised cannot be read at once.
  std::array<Frequencies, 4> tables{};
  std::size_t i = first;
  for (; i + 3 * step < bytes.size(); i += 4 * step)
    for (std::size_t t = 0; t < 4; ++t)
      ++tables[t][static_cast<unsigned char>(bytes[i + t * step])];
  for (; i < bytes.size(); i += step) ++tables[0][static_cast<unsigned char>(bytes[i])];
  for (std::size_t t = 1; t < 4; ++t)
    for (std::size_t b = 0; b < 256; ++b) tables[0][b] += tables[t][b];
  return tables[0];
}

// Whether a sample of the bytes looks like noise.
bool is_noise(std::span<const std::byte> bytes) {
  constexpr std::size_t kSample = 1 << 14;
  if (bytes.size() < kSample) return false;
  const std::size_t step = bytes.size() / kSample;
  const Frequencies sample = frequencies_of(bytes, 0, step);
  const auto count = static_cast<double>((bytes.size() + step - 1) / step);
  // A sample of noise shows 255 / (2 ln 2) bits less than 8 a byte in all.
  return entropy_bits(sample, static_cast<std::size_t>(count)) > count * 7.95 - 184;
}

constexpr std::size_t kLength = 4;  // bytes of a length

void put_length(std::size_t length, std::byte* to) {
  for (std::size_t i = 0; i < kLength; ++i)
    to[i] = static_cast<std::byte>(length >> (8 * i) & 0xFFU);
}

template <std::size_t kItem>
void split(std::span<const std::byte> numbers, std::byte* planes) {
  const std::size_t count = numbers.size() / kItem;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t p = 0; p < kItem; ++p) planes[p * count + i] = numbers[i * kItem + p];
}

template <std::size_t kItem>
void join(std::span<const std::byte> planes, std::span<std::byte> numbers) {
  const std::size_t count = numbers.size() / kItem;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t p = 0; p < kItem; ++p) numbers[i * kItem + p] = planes[p * count + i];
}

// The planes one behind the other.
std::unique_ptr<std::byte[]> planes_of(std::span<const std::byte> numbers,
                                       std::uint32_t item_bytes) {
  auto planes = std::make_unique_for_overwrite<std::byte[]>(numbers.size());
  switch (item_bytes) {
    case 1:
      split<1>(numbers, planes.get());
      break;
    case 2:
      split<2>(numbers, planes.get());
      break;
    case 4:
      split<4>(numbers, planes.get());
      break;
    default:
      split<8>(numbers, planes.get());
      break;
  }
  return planes;
}

void keep(std::span<const std::byte> plain, Bytes& to) {
  to.resize(to.size() + kLength);
  put_length(plain.size(), to.data() + to.size() - kLength);
  to.insert(to.end(), plain.begin(), plain.end());
}

}  // namespace

void pack(std::span<const std::byte> plain, Bytes& to) {
  if (plain.empty() || is_noise(plain)) return keep(plain, to);
  const std::size_t begin = to.size();
  const std::size_t room = ZSTD_compressBound(plain.size());
  to.resize(begin + kLength + room);
  std::byte* const frame = to.data() + begin + kLength;
  const std::size_t size =
      ZSTD_compressCCtx(compressor(), frame, room, plain.data(), plain.size(), kLevel);
  const bool smaller = ZSTD_isError(size) == 0 && size < plain.size();
  to.resize(begin + (smaller ? kLength + size : 0));
  if (!smaller) return keep(plain, to);
  put_length(size, to.data() + begin);
}

bool unpack(std::span<const std::byte>& packed, std::span<std::byte> plain) {
  if (packed.size() < kLength) return false;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLength; ++i) size |= static_cast<std::size_t>(packed[i]) << (8 * i);
  packed = packed.subspan(kLength);
  if (size > packed.size() || size > plain.size()) return false;
  if (size == plain.size()) {
    if (size > 0) std::memcpy(plain.data(), packed.data(), size);
  } else {
    const std::size_t got =
        ZSTD_decompressDCtx(decompressor(), plain.data(), plain.size(), packed.data(), size);
    if (ZSTD_isError(got) != 0 || got != plain.size()) return false;
  }
  packed = packed.subspan(size);
  return true;
}

void pack_planes(std::span<const std::byte> numbers, std::uint32_t item_bytes, Bytes& to) {
  const std::unique_ptr<std::byte[]> planes = planes_of(numbers, item_bytes);
  const std::size_t count = numbers.size() / item_bytes;
  for (std::size_t p = 0; p < item_bytes; ++p) pack({planes.get() + p * count, count}, to);
}

void keep_planes(std::span<const std::byte> numbers, std::uint32_t item_bytes, Bytes& to) {
  const std::unique_ptr<std::byte[]> planes = planes_of(numbers, item_bytes);
  const std::size_t count = numbers.size() / item_bytes;
  for (std::size_t p = 0; p < item_bytes; ++p) keep({planes.get() + p * count, count}, to);
}

bool unpack_planes(std::span<const std::byte>& packed,
                   std::uint32_t item_bytes,
                   std::span<std::byte> numbers) {
  if (item_bytes == 1) return unpack(packed, numbers);
  const auto planes = std::make_unique_for_overwrite<std::byte[]>(numbers.size());
  const std::size_t count = numbers.size() / item_bytes;
  for (std::size_t p = 0; p < item_bytes; ++p)
    if (!unpack(packed, {planes.get() + p * count, count})) return false;
  const std::span<const std::byte> all(planes.get(), numbers.size());
  switch (item_bytes) {
    case 2:
      join<2>(all, numbers);
      break;
    case 4:
      join<4>(all, numbers);
      break;
    default:
      join<8>(all, numbers);
      break;
  }
  return true;
}

double estimated_bytes(std::span<const std::byte> numbers, std::uint32_t item_bytes) {
  const std::size_t count = numbers.size() / item_bytes;
  double bits = 0;
  for (std::size_t p = 0; p < item_bytes; ++p)
    bits += entropy_bits(frequencies_of(numbers, p, item_bytes), count);
  return bits / 8;
}

}  // namespace ration::versions
