#include "base/sha256_blocks.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace ration {
namespace {

// Known answers of the whole hash are in hash_test.cc; this machine takes one of the two ways
// there.
TEST(Sha256Blocks, AreMixedTheSameByInstructionsAndByPlainCode) {
  Stream stream(1, StreamId::init);
  std::string data(64 * 9, '\0');
  for (char& byte : data) byte = static_cast<char>(stream.next());
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());

  for (const std::size_t blocks : {0U, 1U, 2U, 9U}) {
    Sha256State fast = {0, 1, 2, 3, 0x80000000, 5, 6, 0xFFFFFFFF}, plain = fast;
    mix_sha256(fast, bytes, blocks);
    mix_sha256_plainly(plain, bytes, blocks);

    EXPECT_EQ(fast, plain) << blocks << " blocks";
  }
}

TEST(Sha256Blocks, AreMixedTheSameForTwoStatesAtATime) {
  std::string data(64 * 9, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * i);
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  Sha256State first = {0, 1, 2, 3, 0x80000000, 5, 6, 0xFFFFFFFF}, second = {7, 6, 5, 4, 3, 2, 1, 0};
  Sha256State first_alone = first, second_alone = second;

  mix_two_sha256({&first, &second}, {bytes, bytes + 64}, 8);
  mix_sha256_plainly(first_alone, bytes, 8);
  mix_sha256_plainly(second_alone, bytes + 64, 8);

  EXPECT_EQ(first, first_alone);
  EXPECT_EQ(second, second_alone);
}

}  // namespace
}  // namespace ration
