#include "base/hash.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace ration {
namespace {

// Messages and digests of FIPS 180-2, appendix B, and of NIST's example of the empty message.
TEST(Sha256, MatchesThePublishedDigests) {
  const std::vector<std::pair<std::string, std::string>> published = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};

  for (const auto& [message, digest] : published)
    EXPECT_EQ(sha256_hex(message), digest) << message.size() << " bytes";
}

TEST(Sha256, GivesTheSameDigestForAnyPieces) {
  std::string message(200, '\0');
  std::iota(message.begin(), message.end(), '\0');

  for (std::size_t first = 0; first <= message.size(); ++first) {
    Sha256 hash;
    hash.update(std::string_view(message).substr(0, first));
    hash.update(std::string_view(message).substr(first));
    ASSERT_EQ(hash.hex(), sha256_hex(message)) << "cut behind byte " << first;
  }
}

TEST(Sha256, GivesTheSameDigestsForTwoTextsAtATime) {
  std::string message(300, '\0');
  std::iota(message.begin(), message.end(), '\0');

  for (const std::size_t first : {0U, 1U, 55U, 64U, 130U, 300U})
    for (const std::size_t second : {0U, 56U, 63U, 128U, 129U, 299U}) {
      const std::string_view one = std::string_view(message).substr(0, first);
      const std::string_view other = std::string_view(message).substr(300 - second);
      const std::array<std::string, 2> expected = {sha256_hex(one), sha256_hex(other)};
      EXPECT_EQ(sha256_hex_of_both(one, other), expected) << first << " and " << second;
    }
}

TEST(Sha256, TakesRawBytesLikeText) {
  const std::string text = "bytes \xff\x01";
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));

  EXPECT_EQ(hash.hex(), sha256_hex(text));
}

TEST(Crc32c, MatchesTheCheckValueOfTheCatalogue) { EXPECT_EQ(crc32c("123456789"), 0xE3069283U); }

// RFC 3720, appendix B.4; there the four bytes stand in the order in which they are sent.
TEST(Crc32c, MatchesTheExamplesOfIscsi) {
  std::string ascending(32, '\0');
  std::iota(ascending.begin(), ascending.end(), '\0');
  std::string command(48, '\0');
  for (const auto& [place, byte] : std::vector<std::pair<std::size_t, int>>{{0, 0x01},
                                                                            {1, 0xc0},
                                                                            {16, 0x14},
                                                                            {22, 0x04},
                                                                            {27, 0x14},
                                                                            {31, 0x18},
                                                                            {32, 0x28},
                                                                            {40, 0x02}})
    command[place] = static_cast<char>(byte);

  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5CU);
  EXPECT_EQ(crc32c(command), 0xD9963A56U);
}

// Whatever way the processor offers: appending the sum, lowest byte first, gives one value always.
TEST(Crc32c, OfATextAndItsSumIsTheResidueOfTheCode) {
  std::string text;
  for (int length = 1; length < 70; ++length) {
    text += static_cast<char>(length * 37);
    const std::uint32_t sum = crc32c(text);
    std::string both = text;
    for (int shift = 0; shift < 32; shift += 8) both += static_cast<char>(sum >> shift);
    EXPECT_EQ(crc32c(both), 0x48674BC7U) << length;
  }
}

TEST(Crc32c, OfNothingIsZero) { EXPECT_EQ(crc32c(""), 0U); }

}  // namespace
}  // namespace ration
