#include "git/recent.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/hash.h"
#include "support/temporary_folder.h"

namespace ration::git {
namespace {

using versions::Manifest;

Manifest opaque(int number) {
  Manifest manifest;
  manifest.file = {sha256_hex(std::to_string(number))};
  manifest.size = 1 + static_cast<std::uint64_t>(number);
  return manifest;
}

class RecentManifests : public testing::Test {
 protected:
  // Remembers it as if `second` seconds had gone.
  void remember_at(int number, int second) {
    remember(real_files(), folder_.path(), opaque(number));
    std::filesystem::last_write_time(file(number), begin_ + std::chrono::seconds(second));
  }
  Path file(int number) const { return folder_.path() / "recent" / opaque(number).file.hex; }
  std::vector<Manifest> all() { return recent_manifests(real_files(), folder_.path()); }

  ration::test::TemporaryFolder folder_;
  std::filesystem::file_time_type begin_ =
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
};

TEST_F(RecentManifests, TheLastOnesAreKeptNewestFirst) {
  for (int i = 0; i < 12; ++i) remember_at(i, i);

  std::vector<Manifest> expected;
  for (int i = 11; i >= 4; --i) expected.push_back(opaque(i));
  EXPECT_EQ(all(), expected);
  EXPECT_FALSE(real_files().exists(file(3)));
}

TEST_F(RecentManifests, OneThatIsMadeAgainIsTheNewest) {
  for (int i = 0; i < 3; ++i) remember_at(i, i);
  remember_at(0, 10);

  EXPECT_EQ(all(), (std::vector<Manifest>{opaque(0), opaque(2), opaque(1)}));
}

TEST_F(RecentManifests, DamagedAndForeignFilesAreLeftOut) {
  remember_at(1, 1);
  ASSERT_TRUE(real_files().write_whole(file(2), to_text(opaque(2)).substr(0, 50)));
  ASSERT_TRUE(real_files().write_whole(folder_.path() / "recent" / "README", "hello"));

  EXPECT_EQ(all(), (std::vector<Manifest>{opaque(1)}));
}

TEST_F(RecentManifests, AreNoneInANewStore) { EXPECT_TRUE(all().empty()); }

}  // namespace
}  // namespace ration::git
