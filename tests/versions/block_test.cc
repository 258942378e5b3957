#include "versions/block.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "base/random.h"
#include "versions/layout.h"

namespace ration::versions {
namespace {

Bytes bytes_of(const std::vector<float>& values) {
  Bytes bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> weights(std::size_t count, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(0.02 * stream.normal());
  return values;
}

Bytes noise(std::size_t count, std::uint64_t seed) {
  Stream stream(seed, StreamId::labels);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(stream.next());
  return bytes;
}

Bytes decoded(const EncodedBlock& block,
              std::span<const std::byte> prediction,
              std::size_t size,
              std::uint32_t item_bytes) {
  Bytes bytes(prediction.begin(), prediction.end());
  bytes.resize(size);
  EXPECT_TRUE(decode_block(block.mode, block.payload, item_bytes, bytes));
  return bytes;
}

struct Change {
  std::string name;
  BlockMode mode;
  std::function<void(std::vector<float>&)> apply;
  double largest;  // share of the plain bytes that the payload may take
};

class Changes : public testing::TestWithParam<Change> {};

TEST_P(Changes, AreStoredInTheModeThatFitsThem) {
  const std::vector<float> old = weights(1 << 16, 1);
  std::vector<float> now = old;
  GetParam().apply(now);
  const Bytes plain = bytes_of(now);

  const EncodedBlock block = encode_block(plain, bytes_of(old), 4);

  EXPECT_EQ(block.mode, GetParam().mode);
  EXPECT_LE(static_cast<double>(block.payload.size()),
            GetParam().largest * static_cast<double>(plain.size()));
  EXPECT_EQ(decoded(block, bytes_of(old), plain.size(), 4), plain);
}

void every(std::vector<float>& values,
           std::size_t step,
           const std::function<float(float)>& change) {
  for (std::size_t i = 0; i < values.size(); i += step) values[i] = change(values[i]);
}

INSTANTIATE_TEST_SUITE_P(
    Blocks,
    Changes,
    testing::Values(
        Change{"None", BlockMode::same, [](auto&) {}, 0},
        Change{"OneValue", BlockMode::sparse, [](auto& v) { v[777] += 3e-9F; }, 0.001},
        Change{"OneOfAHundred",
               BlockMode::sparse,
               [](auto& v) { every(v, 100, [](float x) { return x + 0.01F; }); },
               0.012},
        Change{"SignsOfAll",
               BlockMode::exclusive,
               [](auto& v) { every(v, 1, [](float x) { return -x; }); },
               0.001},
        Change{"OneThousandthOfAll",
               BlockMode::difference,
               [](auto& v) {
                 Stream stream(2, StreamId::init);
                 every(v, 1, [&](float x) {
                   return x * static_cast<float>(1 + 0.001 * stream.normal());
                 });
               },
               0.52},
        Change{"Everything", BlockMode::full, [](auto& v) { v = weights(v.size(), 3); }, 0.88}),
    [](const auto& test) { return test.param.name; });

TEST(Block, BitsOfNaNsAndZerosComeBack) {
  std::vector<std::uint32_t> bits = {
      0x7fc00000, 0x7fc00001, 0xffc12345, 0x7f800001, 0x80000000, 0, 0x7f800000, 1};
  Bytes plain(bits.size() * 4);
  std::memcpy(plain.data(), bits.data(), plain.size());
  const Bytes zeros(plain.size());
  Bytes other = plain;
  other[4] ^= std::byte{1};  // another payload of a NaN

  EXPECT_EQ(decoded(encode_block(plain, {}, 4), {}, plain.size(), 4), plain);
  EXPECT_EQ(decoded(encode_block(plain, zeros, 4), zeros, plain.size(), 4), plain);
  EXPECT_NE(encode_block(other, plain, 4).mode, BlockMode::same);
  EXPECT_EQ(decoded(encode_block(other, plain, 4), plain, plain.size(), 4), other);
}

TEST(Block, AnyBytesComeBackFromAnyPrediction) {
  Stream stream(5, StreamId::labels);
  for (std::uint64_t round = 0; round < 300; ++round) {
    const std::uint32_t item_bytes = 1U << stream.below(4);
    const std::size_t size = item_bytes * (1 + stream.below(5000));
    const Bytes old = noise(size, 2 * round);
    Bytes now = stream.below(4) == 0 ? noise(size, 2 * round + 1) : old;
    const double share = stream.uniform();
    for (std::byte& byte : now)
      if (stream.uniform() < share * share) byte = static_cast<std::byte>(stream.next());

    EXPECT_EQ(decoded(encode_block(now, old, item_bytes), old, size, item_bytes), now) << round;
    EXPECT_EQ(decoded(encode_block(now, {}, item_bytes), {}, size, item_bytes), now) << round;
  }
}

TEST(Block, NoiseCostsFourBytesAPlane) {
  const Bytes plain = noise(kBlockBytes, 9);

  EXPECT_EQ(encode_block(plain, {}, 4).payload.size(), plain.size() + 16);
}

TEST(Block, DamageIsToldAndNeverReadsBeyondTheBlock) {
  const std::vector<float> old = weights(4096, 1);
  std::vector<float> now = old;
  every(now, 50, [](float x) { return 2 * x; });
  const Bytes plain = bytes_of(now);
  const EncodedBlock good = encode_block(plain, bytes_of(old), 4);
  ASSERT_EQ(good.mode, BlockMode::sparse);
  Stream stream(6, StreamId::labels);

  for (int round = 0; round < 3000; ++round) {
    Bytes payload = good.payload;
    if (stream.below(2) == 0) payload.resize(stream.below(payload.size()));
    for (std::uint64_t changes = stream.below(4); changes > 0 && !payload.empty(); --changes)
      payload[stream.below(payload.size())] = static_cast<std::byte>(stream.next());
    const auto mode = static_cast<BlockMode>(stream.below(kBlockModes));
    Bytes block = bytes_of(old);

    decode_block(mode, payload, 4, block);  // sanitizers watch; a checksum outside tells of damage
    EXPECT_EQ(block.size(), plain.size());
  }
  Bytes block = bytes_of(old);
  EXPECT_FALSE(decode_block(
      BlockMode::sparse, std::span(good.payload).first(good.payload.size() - 1), 4, block));
}

TEST(Block, EstimatesAreNearWhatIsNeeded) {
  const std::vector<float> old = weights(1 << 18, 1);
  std::vector<float> now = old;
  Stream stream(2, StreamId::init);
  for (float& x : now) x *= static_cast<float>(1 + 0.001 * stream.normal());
  const Bytes plain = bytes_of(now);

  const auto alone = static_cast<double>(encode_block(plain, {}, 4).payload.size());
  const auto delta = static_cast<double>(encode_block(plain, bytes_of(old), 4).payload.size());
  EXPECT_NEAR(estimated_block_bytes(plain, {}, 4) / alone, 1, 0.03);
  EXPECT_NEAR(estimated_block_bytes(plain, bytes_of(old), 4) / delta, 1, 0.03);
}

}  // namespace
}  // namespace ration::versions
