#include "data/unpack.h"

#include <gtest/gtest.h>
#include <lzma.h>
#include <zstd.h>

#include "data/gzip_builder.h"

namespace ration::data {
namespace {

constexpr std::size_t kNoLimit = std::size_t{1} << 30;

TEST(Gunzip, GivesBackTheTextOfAllMembers) {
  const std::string large(3'000'000, 'x');
  const std::string file = test::gzip("one\n") + test::gzip(large) + test::gzip("");

  const Unpacked text = unpack(file, Packing::gzip, kNoLimit);

  EXPECT_EQ(text.problem, UnpackProblem::none);
  EXPECT_EQ(text.bytes, "one\n" + large);
}

TEST(Gunzip, IgnoresWhatFollowsTheLastMember) {
  const Unpacked text = unpack(test::gzip("text") + std::string(64, '\0'), Packing::gzip, kNoLimit);

  EXPECT_EQ(text.problem, UnpackProblem::none);
  EXPECT_EQ(text.bytes, "text");
}

TEST(Gunzip, FindsEveryTruncation) {
  const std::string file = test::gzip("a text of some words, cut short at any byte");

  for (std::size_t size = 2; size < file.size(); ++size)
    EXPECT_EQ(unpack(file.substr(0, size), Packing::gzip, kNoLimit).problem, UnpackProblem::damaged)
        << size;
}

TEST(Gunzip, FindsAChangedByteByTheChecksum) {
  std::string file = test::gzip(std::string(1000, 'a') + "b");
  file[file.size() - 6] = static_cast<char>(file[file.size() - 6] ^ 1);  // within the CRC

  EXPECT_EQ(unpack(file, Packing::gzip, kNoLimit).problem, UnpackProblem::damaged);
}

TEST(Gunzip, StopsAtTheLimitBeforeTheMemoryIsFull) {
  const std::string bomb = test::gzip(std::string(50'000'000, '\n'));

  const Unpacked text = unpack(bomb, Packing::gzip, 1'000'000);

  EXPECT_EQ(text.problem, UnpackProblem::too_large);
  EXPECT_LT(text.bytes.size(), 2'000'000U);
}

std::string gzip(std::string_view text) { return test::gzip(std::string(text)); }

std::string zstd(std::string_view text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

std::string xz(std::string_view text) {
  std::string packed(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(1,
                                    LZMA_CHECK_CRC32,
                                    nullptr,
                                    reinterpret_cast<const std::uint8_t*>(text.data()),
                                    text.size(),
                                    reinterpret_cast<std::uint8_t*>(packed.data()),
                                    &size,
                                    packed.size()),
            LZMA_OK);
  packed.resize(size);
  return packed;
}

struct Packed {
  Packing packing;
  std::string (*pack)(std::string_view);
};

class EveryPacking : public testing::TestWithParam<Packed> {
 protected:
  static std::string text() {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += std::to_string(i * 7919 % 1000) + " ";
    return text;
  }
};

TEST_P(EveryPacking, IsKnownByItsFirstBytes) {
  EXPECT_EQ(packing_of(GetParam().pack("text")), GetParam().packing);
  EXPECT_EQ(packing_of("plain text"), Packing::none);
}

TEST_P(EveryPacking, GivesBackOneAndSeveralMembers) {
  const std::string file = GetParam().pack("one\n") + GetParam().pack(text());

  const Unpacked all = unpack(file, GetParam().packing, kNoLimit);

  EXPECT_EQ(all.problem, UnpackProblem::none);
  EXPECT_EQ(all.bytes, "one\n" + text());
}

TEST_P(EveryPacking, UnpacksAFileThatArrivesByteByByte) {
  const std::string file = GetParam().pack("first ") + GetParam().pack("second");
  const auto unpacker = make_unpacker(GetParam().packing);
  std::string out;

  for (const char byte : file) {
    std::string_view piece(&byte, 1);
    ASSERT_TRUE(unpacker->feed(piece, out, kNoLimit));
    ASSERT_TRUE(piece.empty());
  }

  EXPECT_TRUE(unpacker->finish());
  EXPECT_EQ(out, "first second");
}

TEST_P(EveryPacking, FindsAFileThatIsCutShort) {
  const std::string file = GetParam().pack(text());

  for (const std::size_t lost : {std::size_t{1}, std::size_t{2}, file.size() / 2})
    EXPECT_EQ(unpack(file.substr(0, file.size() - lost), GetParam().packing, kNoLimit).problem,
              UnpackProblem::damaged)
        << lost;
}

TEST_P(EveryPacking, StopsAtTheLimit) {
  const Unpacked part = unpack(GetParam().pack(text()), GetParam().packing, 1000);

  EXPECT_EQ(part.problem, UnpackProblem::too_large);
  EXPECT_LT(part.bytes.size(), 1'000'000U);
}

INSTANTIATE_TEST_SUITE_P(All,
                         EveryPacking,
                         testing::Values(Packed{Packing::gzip, gzip},
                                         Packed{Packing::zstd, zstd},
                                         Packed{Packing::xz, xz}));

}  // namespace
}  // namespace ration::data
