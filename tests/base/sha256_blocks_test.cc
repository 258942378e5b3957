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

}  // namespace
}  // namespace ration
