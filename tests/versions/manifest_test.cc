#include "versions/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"

namespace ration::versions {
namespace {

using checkpoint::DType;
using testing::HasSubstr;

ObjectId id(std::string_view bytes) { return {sha256_hex(bytes)}; }

Manifest two_tensors() {
  Manifest manifest;
  manifest.file = id("file");
  manifest.size = 8 + 100 + 24 + 2;
  manifest.header = ManifestHeader{id("header"), 100};
  manifest.tensors = {{"wte", DType::f32, {2, 3}, id("wte"), 24},
                      {"a %b\n\xC3\xA9", DType::bf16, {}, id("scalar"), 2}};
  return manifest;
}

TEST(Manifest, HasALineForEachTensor) {
  const std::string text = to_text(two_tensors());

  EXPECT_EQ(text,
            "ration-checkpoint 1\n"
            "file sha256:" +
                id("file").hex +
                " size 134\n"
                "header sha256:" +
                id("header").hex +
                " 100\n"
                "t wte F32 2x3 sha256:" +
                id("wte").hex +
                " 24\n"
                "t a%20%25b%0A%C3%A9 BF16 - sha256:" +
                id("scalar").hex + " 2\n");
}

TEST(Manifest, ComesBackFromItsText) {
  const Result<Manifest> read = parse_manifest(to_text(two_tensors()));

  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, two_tensors());
}

TEST(Manifest, OfAnOpaqueFileIsThreeLines) {
  Manifest opaque;
  opaque.file = id("anything");
  opaque.size = 8;

  EXPECT_EQ(to_text(opaque),
            "ration-checkpoint 1\nfile sha256:" + id("anything").hex + " size 8\nopaque\n");
  EXPECT_EQ(*parse_manifest(to_text(opaque)), opaque);
  EXPECT_EQ(objects_of(opaque), std::vector<ObjectId>{id("anything")});
}

TEST(Manifest, NamesEachObjectOnceAndNoEmptyOnes) {
  Manifest manifest = two_tensors();
  manifest.tensors.push_back({"copy", DType::f32, {2, 3}, id("wte"), 24});
  manifest.tensors.push_back({"nothing", DType::f32, {0}, id(""), 0});

  std::vector<ObjectId> expected = {id("header"), id("wte"), id("scalar")};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(objects_of(manifest), expected);
}

TEST(Manifest, IsRefusedWithTheLineThatIsWrong) {
  const std::string good = to_text(two_tensors());
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "line 1"},
      {replaced("ration-checkpoint 1", "ration-checkpoint 2"), "line 1"},
      {replaced("file sha256:", "file sha512:"), "line 2"},
      {replaced("size 134", "size 0134"), "line 2"},
      {replaced("size 134", "size 133"), "promises 133 bytes"},
      {replaced("t wte", "t  wte"), "line 4"},
      {replaced("F32", "F33"), "line 4"},
      {replaced("2x3", "2x4"), "line 4"},
      {replaced("%20", "%2g"), "line 5"},
      {replaced("%20", "%41"), "line 5"},  // "A" needs no code
      {replaced("t wte", "<<<<<<< HEAD\nt wte"), "line 4"},
      {good.substr(0, good.size() - 1), "cut off"},
      {good + "\n", "line 6"}};

  for (const auto& [text, reason] : cases) {
    const Result<Manifest> read = parse_manifest(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::input);
    EXPECT_THAT(read.error().what, HasSubstr(reason)) << text;
  }
}

TEST(Manifest, SizesThatWouldOverflowAreRefused) {
  const std::string huge = "ration-checkpoint 1\nfile sha256:" + id("f").hex +
                           " size 18446744073709551615\nheader sha256:" + id("h").hex +
                           " 18446744073709551615\n";

  EXPECT_FALSE(parse_manifest(huge));
}

}  // namespace
}  // namespace ration::versions
