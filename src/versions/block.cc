#include "versions/block.h"

#include <algorithm>
#include <cstring>

#include "versions/layout.h"

namespace ration::versions {
namespace {

// Up to this share of changed numbers their positions cost less than the zeros between them.
constexpr double kSparseShare = 0.2;
// A delta makes reading slower: it must save something.
constexpr double kWorthwhile = 0.9;

template <class Word>
Word word_at(std::span<const std::byte> bytes, std::size_t i) {
  Word word{};
  std::memcpy(&word, bytes.data() + i * sizeof word, sizeof word);
  return word;
}

template <class Word>
void put_word(std::span<std::byte> bytes, std::size_t i, Word word) {
  std::memcpy(bytes.data() + i * sizeof word, &word, sizeof word);
}

// Calls with a number type of that size.
template <class Call>
auto with_word(std::uint32_t item_bytes, const Call& call) {
  switch (item_bytes) {
    case 1:
      return call(std::uint8_t{});
    case 2:
      return call(std::uint16_t{});
    case 4:
      return call(std::uint32_t{});
    default:
      return call(std::uint64_t{});
  }
}

// Small differences of either sign become small numbers.
template <class Word>
Word zig_zag(Word difference) {
  const Word sign = static_cast<Word>(difference >> (8 * sizeof(Word) - 1));
  return static_cast<Word>(static_cast<Word>(difference << 1U) ^ static_cast<Word>(Word{0} - sign));
}

template <class Word>
Word zag_zig(Word folded) {
  return static_cast<Word>(static_cast<Word>(folded >> 1U) ^
                           static_cast<Word>(Word{0} - static_cast<Word>(folded & 1U)));
}

Bytes exclusive_of(std::span<const std::byte> plain, std::span<const std::byte> prediction) {
  Bytes bits(plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) bits[i] = plain[i] ^ prediction[i];
  return bits;
}

Bytes difference_of(std::span<const std::byte> plain,
                    std::span<const std::byte> prediction,
                    std::uint32_t item_bytes) {
  Bytes folded(plain.size());
  with_word(item_bytes, [&](auto kind) {
    using Word = decltype(kind);
    for (std::size_t i = 0; i < plain.size() / sizeof(Word); ++i)
      put_word<Word>(
          folded,
          i,
          zig_zag(static_cast<Word>(word_at<Word>(plain, i) - word_at<Word>(prediction, i))));
  });
  return folded;
}

std::size_t count_changed(std::span<const std::byte> plain,
                          std::span<const std::byte> prediction,
                          std::uint32_t item_bytes) {
  return with_word(item_bytes, [&](auto kind) {
    using Word = decltype(kind);
    std::size_t changed = 0;
    for (std::size_t i = 0; i < plain.size() / sizeof(Word); ++i)
      changed += word_at<Word>(plain, i) != word_at<Word>(prediction, i) ? 1 : 0;
    return changed;
  });
}

void append_varint(std::uint64_t number, Bytes& to) {
  for (; number >= 0x80; number >>= 7U) to.push_back(static_cast<std::byte>(number | 0x80U));
  to.push_back(static_cast<std::byte>(number));
}

// Nothing beyond 32 bits: blocks are short.
bool take_varint(std::span<const std::byte>& from, std::uint32_t& number) {
  number = 0;
  for (unsigned shift = 0; shift < 28 && !from.empty(); shift += 7) {
    const auto byte = static_cast<std::uint32_t>(from.front());
    from = from.subspan(1);
    number |= (byte & 0x7FU) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Count of changes and bytes of the gaps, as varints; the gaps, packed; the changed bits' planes.
Bytes sparse_payload(std::span<const std::byte> plain,
                     std::span<const std::byte> prediction,
                     std::uint32_t item_bytes) {
  Bytes gaps;
  Bytes bits;
  const std::size_t changed = with_word(item_bytes, [&](auto kind) {
    using Word = decltype(kind);
    std::size_t next = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < plain.size() / sizeof(Word); ++i) {
      const auto word = static_cast<Word>(word_at<Word>(plain, i) ^ word_at<Word>(prediction, i));
      if (word == 0) continue;
      append_varint(i - next, gaps);
      next = i + 1;
      ++count;
      bits.resize(bits.size() + sizeof word);
      put_word<Word>(bits, count - 1, word);
    }
    return count;
  });
  Bytes payload;
  append_varint(changed, payload);
  append_varint(gaps.size(), payload);
  pack(gaps, payload);
  pack_planes(bits, item_bytes, payload);
  return payload;
}

bool apply_sparse(std::span<const std::byte> payload,
                  std::uint32_t item_bytes,
                  std::span<std::byte> block) {
  std::uint32_t changed = 0;
  std::uint32_t gap_bytes = 0;
  if (!take_varint(payload, changed) || !take_varint(payload, gap_bytes)) return false;
  if (changed > block.size() / item_bytes || gap_bytes > 4 * block.size()) return false;
  Bytes gaps(gap_bytes);
  Bytes bits(std::size_t{changed} * item_bytes);
  if (!unpack(payload, gaps) || !unpack_planes(payload, item_bytes, bits)) return false;
  std::span<const std::byte> left = gaps;
  return with_word(item_bytes, [&](auto kind) {
    using Word = decltype(kind);
    const std::size_t count = block.size() / sizeof(Word);
    std::size_t position = 0;
    for (std::size_t i = 0; i < changed; ++i, ++position) {
      std::uint32_t gap = 0;
      if (!take_varint(left, gap)) return false;
      position += gap;
      if (position >= count) return false;
      put_word<Word>(block,
                     position,
                     static_cast<Word>(word_at<Word>(block, position) ^ word_at<Word>(bits, i)));
    }
    return left.empty() && payload.empty();
  });
}

bool apply_exclusive(std::span<const std::byte> payload,
                     std::uint32_t item_bytes,
                     std::span<std::byte> block) {
  Bytes bits(block.size());
  if (!unpack_planes(payload, item_bytes, bits)) return false;
  for (std::size_t i = 0; i < block.size(); ++i) block[i] ^= bits[i];
  return payload.empty();
}

bool apply_difference(std::span<const std::byte> payload,
                      std::uint32_t item_bytes,
                      std::span<std::byte> block) {
  Bytes folded(block.size());
  if (!unpack_planes(payload, item_bytes, folded)) return false;
  with_word(item_bytes, [&](auto kind) {
    using Word = decltype(kind);
    for (std::size_t i = 0; i < block.size() / sizeof(Word); ++i)
      put_word<Word>(
          block, i, static_cast<Word>(word_at<Word>(block, i) + zag_zig(word_at<Word>(folded, i))));
  });
  return payload.empty();
}

struct Choice {
  BlockMode mode = BlockMode::full;
  double bytes = 0;  // estimated, of the part that was looked at
};

// The smallest of the modes for dense changes, by what some of the numbers would cost.
Choice choose_dense(std::span<const std::byte> plain,
                    std::span<const std::byte> prediction,
                    std::uint32_t item_bytes) {
  const Choice full{BlockMode::full, estimated_bytes(plain, item_bytes)};
  if (prediction.empty()) return full;
  const Choice exclusive{BlockMode::exclusive,
                         estimated_bytes(exclusive_of(plain, prediction), item_bytes)};
  const Choice difference{
      BlockMode::difference,
      estimated_bytes(difference_of(plain, prediction, item_bytes), item_bytes)};
  const Choice& delta = difference.bytes < exclusive.bytes ? difference : exclusive;
  return delta.bytes < kWorthwhile * full.bytes ? delta : full;
}

// Numbers from the middle, enough for their frequencies.
template <class Byte>
std::span<Byte> part_of(std::span<Byte> block) {
  constexpr std::size_t kPart = std::size_t{1} << 16;
  if (block.size() <= kPart) return block;
  return block.subspan((block.size() - kPart) / 2 / 16 * 16, kPart);
}

BlockMode choose(std::span<const std::byte> plain,
                 std::span<const std::byte> prediction,
                 std::uint32_t item_bytes) {
  if (prediction.empty()) return BlockMode::full;
  const std::size_t changed = count_changed(plain, prediction, item_bytes);
  if (changed == 0) return BlockMode::same;
  if (static_cast<double>(changed) <= kSparseShare * static_cast<double>(plain.size() / item_bytes))
    return BlockMode::sparse;
  return choose_dense(part_of(plain), part_of(prediction), item_bytes).mode;
}

Bytes payload_of(BlockMode mode,
                 std::span<const std::byte> plain,
                 std::span<const std::byte> prediction,
                 std::uint32_t item_bytes) {
  Bytes payload;
  switch (mode) {
    case BlockMode::full:
      pack_planes(plain, item_bytes, payload);
      break;
    case BlockMode::same:
      break;
    case BlockMode::sparse:
      payload = sparse_payload(plain, prediction, item_bytes);
      break;
    case BlockMode::exclusive:
      pack_planes(exclusive_of(plain, prediction), item_bytes, payload);
      break;
    case BlockMode::difference:
      pack_planes(difference_of(plain, prediction, item_bytes), item_bytes, payload);
      break;
  }
  return payload;
}

bool gives_back(const EncodedBlock& encoded,
                std::span<const std::byte> plain,
                std::span<const std::byte> prediction,
                std::uint32_t item_bytes) {
  Bytes block(prediction.begin(), prediction.end());
  block.resize(plain.size());
  return decode_block(encoded.mode, encoded.payload, item_bytes, block) &&
         std::memcmp(block.data(), plain.data(), plain.size()) == 0;
}

}  // namespace

EncodedBlock encode_block(std::span<const std::byte> plain,
                          std::span<const std::byte> prediction,
                          std::uint32_t item_bytes) {
  EncodedBlock encoded{.mode = choose(plain, prediction, item_bytes)};
  encoded.payload = payload_of(encoded.mode, plain, prediction, item_bytes);
  if (gives_back(encoded, plain, prediction, item_bytes)) return encoded;
  encoded = {.mode = BlockMode::full};
  keep_planes(plain, item_bytes, encoded.payload);
  return encoded;
}

bool decode_block(BlockMode mode,
                  std::span<const std::byte> payload,
                  std::uint32_t item_bytes,
                  std::span<std::byte> block) {
  switch (mode) {
    case BlockMode::full:
      return unpack_planes(payload, item_bytes, block) && payload.empty();
    case BlockMode::same:
      return payload.empty();
    case BlockMode::sparse:
      return apply_sparse(payload, item_bytes, block);
    case BlockMode::exclusive:
      return apply_exclusive(payload, item_bytes, block);
    case BlockMode::difference:
      return apply_difference(payload, item_bytes, block);
  }
  return false;
}

double estimated_block_bytes(std::span<const std::byte> plain,
                             std::span<const std::byte> prediction,
                             std::uint32_t item_bytes) {
  const std::span<const std::byte> part = part_of(plain);
  const double scale = static_cast<double>(plain.size()) /
                       static_cast<double>(std::max<std::size_t>(part.size(), 1));
  if (prediction.empty()) return scale * estimated_bytes(part, item_bytes);
  const std::size_t changed = count_changed(part, part_of(prediction), item_bytes);
  const std::size_t count = part.size() / item_bytes;
  if (static_cast<double>(changed) <= kSparseShare * static_cast<double>(count))
    return scale * static_cast<double>(changed * (item_bytes + 1));
  return scale * choose_dense(part, part_of(prediction), item_bytes).bytes;
}

}  // namespace ration::versions
