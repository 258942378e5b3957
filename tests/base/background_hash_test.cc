#include "base/background_hash.h"

#include <gtest/gtest.h>

namespace ration {
namespace {

BackgroundHash::Block block(const std::string& text, int copies) {
  std::string bytes;
  for (int i = 0; i < copies; ++i) bytes += text;
  return std::make_shared<const std::string>(std::move(bytes));
}

TEST(BackgroundHash, GoesOnBehindWhatWasHashedBefore) {
  Sha256 start;
  start.update(std::string_view("ab"));
  BackgroundHash hash(start);
  hash.update(block("c", 1));

  // The example of FIPS 180-2, appendix B.1.
  EXPECT_EQ(hash.result().hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(BackgroundHash, TakesBlocksInTheirOrder) {
  BackgroundHash hash{Sha256()};
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const BackgroundHash::Block one = block(std::to_string(i), 1000);
    all += *one;
    hash.update(one);
    hash.wait(10'000);
  }

  EXPECT_EQ(hash.result().hex(), sha256_hex(all));
}

}  // namespace
}  // namespace ration
