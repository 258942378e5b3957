#include "data/shard_writer.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "data/text_builder.h"
#include "support/temporary_folder.h"

namespace ration::data {
namespace {

BackgroundHash::Block block(const std::string& text, int copies) {
  std::string bytes;
  for (int i = 0; i < copies; ++i) bytes += text;
  return std::make_shared<const std::string>(std::move(bytes));
}

// Large blocks are hashed by another thread than small ones.
TEST(HashedFile, HasTheDigestOfItsBytesWhateverThePieces) {
  test::TemporaryFolder folder;
  const std::string text = test::invented_text(1, 1000);
  HashedFile file = *HashedFile::create(real_files(), folder / "file");
  std::string all;
  for (const int copies : {1, 700, 2, 1, 900, 300, 1}) {
    const BackgroundHash::Block one = block(text, copies);
    all += *one;
    ASSERT_TRUE(file.append(one));
    const std::string digest = *file.checkpoint();

    EXPECT_EQ(digest, sha256_hex(all)) << copies;
    EXPECT_TRUE(*real_files().read(folder / "file") == all) << copies;
  }
}

}  // namespace
}  // namespace ration::data
