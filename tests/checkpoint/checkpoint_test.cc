#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <deque>

#include "base/hash.h"
#include "checkpoint/output_file.h"
#include "checkpoint/safetensors_writer.h"
#include "support/temporary_folder.h"

namespace ration::checkpoint {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

class Checkpoints : public testing::Test {
 protected:
  void write(const std::string& file, std::vector<std::pair<std::string, float>> scalars) {
    std::vector<TensorView> views;
    for (const auto& [name, value] : scalars)
      views.push_back({name, DType::f32, {}, std::as_bytes(std::span(&value, 1))});
    ASSERT_TRUE(write_safetensors(real_files(), folder_ / file, views, {{"of", file}}));
  }
  void index(const std::string& text) {
    ASSERT_TRUE(real_files().write_whole(folder_ / "model.safetensors.index.json", text));
  }
  void expect_refused(const Path& path, const std::string& why) {
    const Result<Checkpoint> opened = Checkpoint::open(real_files(), path);
    ASSERT_FALSE(opened);
    EXPECT_EQ(exit_code(opened.error().kind), 2);
    EXPECT_THAT(opened.error().describe(), HasSubstr(why));
  }
  static float number(const Checkpoint& checkpoint, std::string_view name) {
    float value = 0;
    std::memcpy(&value, checkpoint.bytes(*checkpoint.find(name)).data(), sizeof value);
    return value;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Checkpoints, OpenAFileOrTheFolderThatHoldsIt) {
  write("model.safetensors", {{"b", 2}, {"a", 1}});

  for (const Path& path : {folder_.path(), folder_ / "model.safetensors"}) {
    const Result<Checkpoint> opened = Checkpoint::open(real_files(), path);
    ASSERT_TRUE(opened) << opened.error().describe();
    ASSERT_EQ(opened->tensors().size(), 2U);
    EXPECT_EQ(opened->tensors()[0].name, "a");
    EXPECT_EQ(number(*opened, "b"), 2);
    EXPECT_EQ(opened->find("c"), nullptr);
    EXPECT_EQ(opened->sha256(), sha256_hex(*real_files().read(folder_ / "model.safetensors")));
  }
}

TEST_F(Checkpoints, ReadShardsAsOneModel) {
  write("one.safetensors", {{"c", 3}, {"a", 1}});
  write("two.safetensors", {{"b", 2}});
  index(R"({"metadata":{"total_size":12},"weight_map":{"a":"one.safetensors","b":"two.safetensors",
            "c":"one.safetensors"}})");

  const Result<Checkpoint> opened = Checkpoint::open(real_files(), folder_.path());

  ASSERT_TRUE(opened) << opened.error().describe();
  std::vector<std::string> names;
  for (const TensorInfo& info : opened->tensors()) names.push_back(info.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(number(*opened, "b"), 2);
  EXPECT_EQ(number(*opened, "c"), 3);
  EXPECT_EQ(opened->metadata().at("of"), "one.safetensors");
  const std::string one = sha256_hex(*real_files().read(folder_ / "one.safetensors"));
  const std::string two = sha256_hex(*real_files().read(folder_ / "two.safetensors"));
  EXPECT_EQ(opened->sha256(),
            sha256_hex(one + "  one.safetensors\n" + two + "  two.safetensors\n"));
}

TEST_F(Checkpoints, RefuseShardsOutsideTheirFolder) {
  write("one.safetensors", {{"a", 1}});
  for (const std::string shard :
       {"../one.safetensors", "/etc/passwd", "x/one.safetensors", "..", ""}) {
    index(R"({"weight_map":{"a":")" + shard + "\"}}");
    expect_refused(folder_.path(), "no name of a file beside it");
  }
}

TEST_F(Checkpoints, RefuseAnIndexThatDisagreesWithItsShards) {
  write("one.safetensors", {{"a", 1}, {"b", 2}});
  index(R"({"weight_map":{"a":"one.safetensors"}})");
  expect_refused(folder_.path(), "its shards hold 2 tensors, it names 1");
  index(R"({"weight_map":{"a":"one.safetensors","x":"one.safetensors"}})");
  expect_refused(folder_.path(), "one.safetensors lacks tensor \"x\"");
  index(R"({"weight_map":{"a":"gone.safetensors"}})");
  expect_refused(folder_.path(), "gone.safetensors");
  index(R"({"weights":{}})");
  expect_refused(folder_.path(), "it has no weight_map");
  index(R"({"weight_map":{}})");
  expect_refused(folder_.path(), "its weight_map is empty");
  index("{");
  expect_refused(folder_.path(), "index.json");
}

TEST_F(Checkpoints, RefuseAnIndexThatNamesATensorTwice) {
  write("one.safetensors", {{"a", 1}});
  write("two.safetensors", {{"a", 2}});
  index(R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})");
  expect_refused(folder_.path(), "the name \"a\" stands twice in the index");
}

TEST_F(Checkpoints, DoNotGuessWhichOfTwoModelsOfAFolderIsMeant) {
  write("model.safetensors", {{"a", 1}});
  index(R"({"weight_map":{"a":"model.safetensors"}})");
  expect_refused(folder_.path(), "holds both model.safetensors and model.safetensors.index.json");
}

TEST_F(Checkpoints, DoNotWaitForPipesNorReadFolders) {
  for (const std::string name : {"pipe.safetensors", "pipe.safetensors.index.json"}) {
    ASSERT_EQ(mkfifo((folder_ / name).c_str(), 0600), 0);
    expect_refused(folder_ / name, "it is no regular file");
  }
  ASSERT_TRUE(real_files().make_folders(folder_ / "shard"));
  index(R"({"weight_map":{"a":"shard"}})");
  expect_refused(folder_.path(), "it is a folder");
}

TEST_F(Checkpoints, FindEachOfManyTensorsQuickly) {
  constexpr int kCount = 20000;  // a search that looks at all of them takes seconds
  std::string weight_map;
  std::vector<std::pair<std::string, float>> scalars;
  for (int i = 0; i < kCount; ++i) {
    scalars.emplace_back("a.long.prefix.that.all.of.them.share." + std::to_string(i), i);
    weight_map += (i == 0 ? "\"" : ",\"") + scalars.back().first + "\":\"one.safetensors\"";
  }
  write("one.safetensors", scalars);
  index("{\"weight_map\":{" + weight_map + "}}");
  const auto begin = std::chrono::steady_clock::now();

  const Result<Checkpoint> opened = Checkpoint::open(real_files(), folder_.path());

  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(number(*opened, scalars[777].first), 777);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST_F(Checkpoints, SayWhatAFolderLacks) {
  expect_refused(folder_.path(),
                 "holds neither model.safetensors nor model.safetensors.index.json");
  expect_refused(folder_ / "gone.safetensors", "gone.safetensors");
}

TEST_F(Checkpoints, DigestManyAtOnceAsTheyAreAlone) {
  std::deque<Checkpoint> opened;
  std::vector<const Checkpoint*> all;
  std::vector<std::string> expected;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{700000}, std::size_t{3}, std::size_t{400001}}) {
    const std::string file = std::to_string(size);
    const std::vector<float> values(size, 0.5F);
    ASSERT_TRUE(write_safetensors(
        real_files(), folder_ / file, {{"w", DType::f32, {size}, bytes_of(values)}}));
    opened.push_back(*Checkpoint::open(real_files(), folder_ / file));
    all.push_back(&opened.back());
    expected.push_back(sha256_hex(*real_files().read(folder_ / file)));
  }
  for (const int threads : {1, 3}) EXPECT_EQ(Checkpoint::sha256_of(all, threads), expected);
}

TEST_F(Checkpoints, KeepTheirNumbersWhenPagesAreReleased) {
  const std::vector<float> values(100000, 0.25F);
  ASSERT_TRUE(write_safetensors(
      real_files(), folder_ / "w", {{"w", DType::f32, {values.size()}, bytes_of(values)}}));
  const Result<Checkpoint> opened = Checkpoint::open(real_files(), folder_ / "w");
  const TensorInfo& tensor = opened->tensors()[0];

  opened->release(tensor, 0, tensor.end);

  EXPECT_TRUE(std::ranges::equal(opened->bytes(tensor), bytes_of(values)));
}

TEST_F(Checkpoints, AreWrittenPieceByPieceAsTheyAreWhole) {
  const std::vector<float> a = {1, 2, 3}, b = {4};
  ASSERT_TRUE(
      write_safetensors(real_files(),
                        folder_ / "whole",
                        {{"b", DType::f32, {1}, bytes_of(b)}, {"a", DType::f32, {3}, bytes_of(a)}},
                        {{"k", "v"}}));
  {
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::create(real_files(),
                                  folder_ / "pieces",
                                  {{"b", DType::f32, {1}}, {"a", DType::f32, {3}}},
                                  {{"k", "v"}});
    ASSERT_TRUE(writer);
    EXPECT_EQ(writer->layout()[0].name, "a");
    ASSERT_TRUE(writer->append(bytes_of(a).first(5)));
    EXPECT_FALSE(writer->finish()) << "bytes are missing";
    EXPECT_FALSE(real_files().exists(folder_ / "pieces"));
    ASSERT_TRUE(writer->append(bytes_of(a).subspan(5)));
    ASSERT_TRUE(writer->append(bytes_of(b)));
    ASSERT_TRUE(writer->finish());
  }
  EXPECT_EQ(*real_files().read(folder_ / "pieces"), *real_files().read(folder_ / "whole"));
  EXPECT_EQ(real_files().list(folder_.path())->size(), 2U) << "no temporary file stays";
}

class Outputs : public Checkpoints {
 protected:
  void expect_no_output(const Path& path, const std::string& why) {
    const Result<Path> file = output_file(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(exit_code(file.error().kind), 2);
    EXPECT_THAT(file.error().what, HasSubstr(why));
    const auto writer = SafetensorsWriter::create(real_files(), path, {}, {});
    EXPECT_FALSE(writer) << "the writer asks, too";
  }
};

TEST_F(Outputs, ReplaceRegularFilesOnly) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder_ / "loop");

  expect_no_output(folder_ / "pipe", "is no regular file");
  expect_no_output("/dev/null", "is no regular file");
  expect_no_output(folder_.path(), "is a folder");
  expect_no_output(folder_ / "gone" / "out", "does not exist");
  expect_no_output(folder_ / "loop", "leads nowhere");
}

TEST_F(Outputs, KeepLinksAndReplaceWhatTheyLeadTo) {
  const std::vector<float> values = {1};
  std::filesystem::create_directory(folder_ / "store");
  write("store/old", {{"a", 1}});
  std::filesystem::create_symlink("store/old", folder_ / "link");
  std::filesystem::create_symlink("store/new", folder_ / "dangling");

  for (const auto& [link, target] :
       {std::pair("link", "store/old"), std::pair("dangling", "store/new")}) {
    Result<SafetensorsWriter> writer =
        SafetensorsWriter::create(real_files(), folder_ / link, {{"b", DType::f32, {1}}}, {});
    ASSERT_TRUE(writer) << writer.error().describe();
    ASSERT_TRUE(writer->append(bytes_of(values)));
    ASSERT_TRUE(writer->finish());

    EXPECT_TRUE(std::filesystem::is_symlink(folder_ / link));
    EXPECT_NE(Checkpoint::open(real_files(), folder_ / target)->find("b"), nullptr);
  }
}

}  // namespace
}  // namespace ration::checkpoint
