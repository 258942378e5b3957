#include "git/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace ration::git {
namespace {

constexpr std::size_t kInMemory = std::size_t{1} << 20;

std::string read(const Spool& spool) {
  std::string all;
  EXPECT_TRUE(spool.read([&](std::span<const std::byte> bytes) -> Result<void> {
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }));
  return all;
}

TEST(Spool, GivesBackWhatItTookOnBothSidesOfItsMemory) {
  const ration::test::TemporaryFolder folder;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kInMemory - 1, kInMemory, kInMemory + 1, 3 * kInMemory}) {
    std::string content(size, 'a');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * i >> 7U);
    Spool spool(folder / "tmp");
    for (std::size_t at = 0; at < size; at += 65516)
      ASSERT_TRUE(spool.append(std::string_view(content).substr(at, 65516)));

    EXPECT_EQ(spool.size(), size);
    EXPECT_EQ(spool.head(), content.substr(0, kInMemory));
    EXPECT_EQ(spool.text().value(), content);
    EXPECT_EQ(read(spool), content);
    EXPECT_EQ(real_files().read(spool.path().value()).value(), content) << size;
    EXPECT_EQ(read(spool), content) << "from the file";
    EXPECT_EQ(spool.digest()->hex, sha256_hex(content));
  }
}

TEST(Spool, LeavesNoFileBehindItselfNorWhileItLives) {
  const ration::test::TemporaryFolder folder;
  Spool spool(folder / "tmp");

  ASSERT_TRUE(spool.append(std::string(2 * kInMemory, 'x')));

  EXPECT_THAT(real_files().list(folder / "tmp").value(), testing::IsEmpty());
}

TEST(Spool, TellsWhereItCannotWrite) {
  const ration::test::TemporaryFolder folder;
  ASSERT_TRUE(real_files().write_whole(folder / "tmp", "a file"));
  Spool spool(folder / "tmp");

  const Result<void> done = spool.append(std::string(2 * kInMemory, 'x'));

  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, testing::HasSubstr("tmp"));
}

}  // namespace
}  // namespace ration::git
