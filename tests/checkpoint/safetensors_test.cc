#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/temporary_folder.h"

namespace ration::checkpoint {
namespace {

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

class Safetensors : public testing::Test {
 protected:
  // A file with any header and this many data bytes.
  Path write_raw(std::string_view header,
                 std::size_t data_bytes,
                 std::optional<std::uint64_t> claimed_length = {}) {
    const std::uint64_t length = claimed_length.value_or(header.size());
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    bytes.append(header).append(data_bytes, '\0');
    EXPECT_TRUE(real_files().write_whole(folder_ / "raw.safetensors", bytes));
    return folder_ / "raw.safetensors";
  }

  void expect_refused(std::string_view header, std::size_t data_bytes, std::string_view reason) {
    const Result<TensorFile> file = TensorFile::open(real_files(), write_raw(header, data_bytes));
    ASSERT_FALSE(file.has_value()) << header;
    EXPECT_EQ(file.error().kind, ErrorKind::input);
    EXPECT_NE(file.error().what.find(reason), std::string::npos) << file.error().what;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Safetensors, ComesBackAsItWasWritten) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<float> b = {7};
  const std::vector<TensorView> tensors = {{"z", DType::f32, {2, 3}, bytes_of(a)},
                                           {"a", DType::f32, {}, bytes_of(b)}};

  ASSERT_TRUE(write_safetensors(real_files(), folder_ / "x", tensors, {{"step", "12"}}));
  const Result<TensorFile> file = TensorFile::open(real_files(), folder_ / "x");

  ASSERT_TRUE(file) << file.error().describe();
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->find("z")->shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(file->metadata().at("step"), "12");
  EXPECT_EQ(std::memcmp(file->bytes(*file->find("z")).data(), a.data(), 24), 0);
  EXPECT_EQ(file->find("missing"), nullptr);
}

TEST_F(Safetensors, PutsItsDataAtAMultipleOf64Bytes) {
  const std::vector<float> a = {1};
  ASSERT_TRUE(
      write_safetensors(real_files(), folder_ / "x", {{"a", DType::f32, {1}, bytes_of(a)}}));

  EXPECT_EQ((*real_files().size(folder_ / "x") - 4) % 64, 0U);
}

TEST_F(Safetensors, IsTheSameFileWhateverTheOrderOfTheTensors) {
  const std::vector<float> a = {1}, b = {2};
  const TensorView first{"a", DType::f32, {1}, bytes_of(a)},
      second{"b", DType::f32, {1}, bytes_of(b)};
  ASSERT_TRUE(write_safetensors(real_files(), folder_ / "x", {first, second}));
  ASSERT_TRUE(write_safetensors(real_files(), folder_ / "y", {second, first}));

  EXPECT_EQ(*real_files().read(folder_ / "x"), *real_files().read(folder_ / "y"));
}

TEST_F(Safetensors, AcceptsAHeaderPaddedWithBlanksAndEmptyTensors) {
  const Path path = write_raw(
      R"({"a":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}    )",
      3);

  EXPECT_TRUE(TensorFile::open(real_files(), path));
}

TEST_F(Safetensors, RefusesToWriteAWrongSizeOrARepeatedName) {
  const std::vector<float> a = {1};
  EXPECT_FALSE(
      write_safetensors(real_files(), folder_ / "x", {{"a", DType::f32, {2}, bytes_of(a)}}));
  EXPECT_FALSE(write_safetensors(
      real_files(),
      folder_ / "x",
      {{"a", DType::f32, {1}, bytes_of(a)}, {"a", DType::f32, {1}, bytes_of(a)}}));
  EXPECT_FALSE(real_files().exists(folder_ / "x"));
}

TEST_F(Safetensors, RefusesEveryLieInAHeader) {
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "end at byte");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "end at byte");
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "disagree");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "disagree");
  expect_refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
                 0,
                 "disagree");
  expect_refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole numbers");
  expect_refused(
      R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype \"F33\"");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4, "must hold");
  expect_refused(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", 4, "must hold");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
      3,
      "overlaps");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
      3,
      "gap");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      1,
      "twice");
  expect_refused(
      R"({"a":{"dtype":"U8","shape":[[[[[[[[1]]]]]]]],"data_offsets":[0,1]}})", 1, "deeper");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "else than text");
  expect_refused(R"({"a":)", 0, "not valid JSON");
  expect_refused("[]", 0, "begin with {");
}

TEST_F(Safetensors, KnowsFormatsOfWholeBytesAndNamesTheOthers) {
  for (const std::string dtype : {"F8_E4M3", "F8_E5M2", "F8_E8M0"}) {
    const std::string header =
        R"({"a":{"dtype":")" + dtype + R"(","shape":[3],"data_offsets":[0,3]}})";
    const Result<TensorFile> file = TensorFile::open(real_files(), write_raw(header, 3));
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_EQ(name(file->find("a")->dtype), dtype);
  }
  const Result<TensorFile> file = TensorFile::open(
      real_files(), write_raw(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1));
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().what.find("tensor \"a\": unknown dtype \"F4\""), std::string::npos);
  EXPECT_EQ(file.error().hint.find("damaged"), std::string::npos) << "it is only newer";
}

TEST_F(Safetensors, RefusesNamesThatNobodyGives) {
  const std::string entry = R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  EXPECT_TRUE(TensorFile::open(real_files(), write_raw("{\"" + std::string(4096, 'n') + entry, 1)));
  expect_refused("{\"" + std::string(4097, 'n') + entry, 1, "name of a tensor has 4097 bytes");
}

TEST_F(Safetensors, RefusesALengthBeyondTheFile) {
  const auto open_with_length = [&](std::uint64_t length) {
    return TensorFile::open(real_files(), write_raw("{}", 0, length));
  };

  EXPECT_NE(open_with_length(3).error().what.find("inside its header"), std::string::npos);
  EXPECT_NE(open_with_length(100'000'001).error().what.find("claims"), std::string::npos);
  EXPECT_NE(open_with_length(std::uint64_t{1} << 63).error().what.find("claims"),
            std::string::npos);
}

TEST_F(Safetensors, SaysWhichFileIsMissing) {
  const Result<TensorFile> file = TensorFile::open(real_files(), folder_ / "none");

  ASSERT_FALSE(file);
  EXPECT_NE(file.error().what.find("none"), std::string::npos);
}

}  // namespace
}  // namespace ration::checkpoint
