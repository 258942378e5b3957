#include "git/lfs_pointer.h"

#include <gtest/gtest.h>

namespace ration::git {
namespace {

// The example of git-lfs's docs/spec.md.
constexpr std::string_view kExample =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";

TEST(LfsPointer, TheExampleOfTheSpecificationIsRead) {
  const std::optional<LfsPointer> pointer = read_lfs_pointer(kExample);

  ASSERT_TRUE(pointer);
  EXPECT_EQ(pointer->oid, "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393");
  EXPECT_EQ(pointer->size, 12345U);
  EXPECT_FALSE(pointer->extended);
  EXPECT_EQ(to_text(*pointer), kExample);
}

TEST(LfsPointer, AnExtensionIsSeen) {
  std::string text(kExample);
  text.insert(text.find("oid"), "ext-0-foo sha256:" + std::string(64, 'a') + "\n");

  ASSERT_TRUE(read_lfs_pointer(text));
  EXPECT_TRUE(read_lfs_pointer(text)->extended);
}

TEST(LfsPointer, OtherTextsAreNone) {
  const std::string example(kExample);
  const std::string_view version = "version https://git-lfs.github.com/spec/v1\n";
  for (const std::string& text : {std::string(),
                                  std::string(version),
                                  example.substr(version.size()),
                                  example + "a line\n",
                                  example + std::string(1024, ' '),
                                  "\n" + example,
                                  example.substr(0, example.find("size")),
                                  example.substr(0, example.size() - 2) + "x\n",
                                  std::string(example).replace(example.find("4d7a"), 4, "4D7A"),
                                  std::string(example).replace(example.find("4d7a"), 4, "4d7")})
    EXPECT_FALSE(read_lfs_pointer(text)) << text;
}

}  // namespace
}  // namespace ration::git
