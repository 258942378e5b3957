#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "support/vectors.h"

namespace ration {
namespace {

std::uint64_t word(const Json& text) { return std::stoull(text.get<std::string>()); }

TEST(RandomReference, MixIsTheSplitMix64Finaliser) {
  const Json reference = test::vectors("sampler_reference.json");
  ASSERT_FALSE(reference["splitmix64"].empty());

  std::uint64_t argument = 0;
  for (const Json& expected : reference["splitmix64"]) EXPECT_EQ(mix(argument++), word(expected));
  EXPECT_EQ(mix(std::uint64_t{1} << 40), word(reference["splitmix64_of_1<<40"]));
}

TEST(RandomReference, AStreamIsKeyedBySeedStreamAndEpoch) {
  const Json expected = test::vectors("sampler_reference.json")["stream_first5"];
  ASSERT_FALSE(expected["u64"].empty());
  Stream stream(expected["seed"], static_cast<StreamId>(expected["stream"]), expected["epoch"]);

  for (const Json& draw : expected["u64"]) EXPECT_EQ(stream.next(), word(draw));
}

TEST(RandomReference, DrawsBelowTen) {
  const Json expected = test::vectors("sampler_reference.json")["stream_first5"];
  ASSERT_FALSE(expected["below10"].empty());
  Stream stream(expected["seed"], static_cast<StreamId>(expected["stream"]), expected["epoch"]);

  for (const Json& draw : expected["below10"]) EXPECT_EQ(stream.below(10), draw);
}

TEST(RandomReference, PermutesAsPublished) {
  const Json cases = test::vectors("sampler_reference.json")["perm"];
  ASSERT_FALSE(cases.empty());

  for (const Json& expected : cases) {
    const Stream stream(
        expected["seed"], static_cast<StreamId>(expected["stream"]), expected["epoch"]);
    EXPECT_EQ(permutation(expected["n"], stream),
              expected["perm"].get<std::vector<std::uint32_t>>())
        << expected.dump();
  }
}

}  // namespace
}  // namespace ration
