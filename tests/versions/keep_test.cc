#include "versions/keep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "base/unsynced_files.h"
#include "checkpoint/safetensors_header.h"
#include "support/failing_files.h"
#include "support/temporary_folder.h"
#include "versions/restore.h"

namespace ration::versions {
namespace {

using checkpoint::DType;
using testing::HasSubstr;

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::uint64_t> shape;
  std::string bytes;
};

// A safetensors file with its tensors in this order and `padding` blanks behind the header.
std::string file_of(const std::vector<Tensor>& tensors, std::size_t padding, const Json& metadata) {
  std::string header = "{";
  if (!metadata.is_null()) header += "\"__metadata__\":" + metadata.dump();
  std::string data;
  for (const Tensor& tensor : tensors) {
    if (header.size() > 1) header += ",";
    const Json entry{{"shape", tensor.shape},
                     {"dtype", std::string(checkpoint::name(tensor.dtype))},
                     {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    header += Json(tensor.name).dump() + ": " + entry.dump();
    data += tensor.bytes;
  }
  header += "}" + std::string(padding, ' ');
  std::string file(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file + header + data;
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * 4};
}

class KeptFile : public testing::Test {
 protected:
  Kept kept(const std::string& file, const std::vector<Manifest>& earlier = {}) {
    EXPECT_TRUE(unsynced_files().write_whole(folder_ / "model", file));
    Result<Kept> result = keep(store_, folder_ / "model", {.earlier = earlier, .threads = 2});
    EXPECT_TRUE(result) << result.error().describe();
    return *result;
  }

  std::string restored(const Manifest& manifest) {
    std::string bytes;
    const Result<void> done = restore(store_, manifest, [&](std::span<const std::byte> part) {
      bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
      return Result<void>();
    });
    EXPECT_TRUE(done) << done.error().describe();
    return bytes;
  }

  test::TemporaryFolder folder_;
  ObjectStore store_{unsynced_files(), folder_ / "store"};
};

TEST_F(KeptFile, OfAnyDtypeShapeAndPaddingComesBackByteForByte) {
  const std::vector<DType> dtypes = {DType::boolean,
                                     DType::u8,
                                     DType::i8,
                                     DType::u16,
                                     DType::i16,
                                     DType::f16,
                                     DType::bf16,
                                     DType::u32,
                                     DType::i32,
                                     DType::f32,
                                     DType::u64,
                                     DType::i64,
                                     DType::f64,
                                     DType::f8_e4m3,
                                     DType::f8_e5m2,
                                     DType::f8_e8m0,
                                     DType::f8_e4m3fnuz,
                                     DType::f8_e5m2fnuz,
                                     DType::c64};
  Stream stream(1, StreamId::labels);
  std::vector<Manifest> earlier;
  std::vector<Tensor> tensors;
  for (int round = 0; round < 60; ++round) {
    // Every third file is made anew, the others change some bytes of the one before.
    if (round % 3 == 0) {
      tensors.clear();
      for (std::uint64_t i = stream.below(8); i > 0; --i) {
        Tensor tensor{.name = "t" + std::to_string(stream.below(1000)) + "." + std::to_string(i),
                      .dtype = dtypes[stream.below(dtypes.size())]};
        for (std::uint64_t d = stream.below(4); d > 0; --d)
          tensor.shape.push_back(stream.below(20));
        tensor.bytes.resize(*checkpoint::byte_count(tensor.shape, tensor.dtype));
        for (char& byte : tensor.bytes) byte = static_cast<char>(stream.next());
        tensors.push_back(std::move(tensor));
      }
    } else {
      for (Tensor& tensor : tensors)
        for (std::uint64_t n = stream.below(4); n > 0 && !tensor.bytes.empty(); --n)
          tensor.bytes[stream.below(tensor.bytes.size())] ^= 1;
    }
    const Json metadata =
        stream.below(2) == 0 ? Json() : Json{{"format", "pt"}, {"step", std::to_string(round)}};
    const std::string file = file_of(tensors, stream.below(70), metadata);

    const Kept result = kept(file, earlier);

    EXPECT_FALSE(result.manifest.opaque()) << round;
    EXPECT_EQ(result.manifest.file.hex, sha256_hex(file));
    EXPECT_EQ(restored(result.manifest), file) << round;
    EXPECT_EQ(*parse_manifest(to_text(result.manifest)), result.manifest);
    earlier = {result.manifest};
  }
}

// Where other tools take a change for none.
TEST_F(KeptFile, NoticesEveryChangeOfABit) {
  const auto one_tensor = [](const std::vector<float>& values) {
    return file_of({{"w", DType::f32, {values.size()}, floats(values)}}, 0, Json());
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float other_nan = -nan;
  std::vector<float> tiny;
  for (int i = 0; i < 1000; ++i) tiny.push_back(1e-10F * static_cast<float>(i % 7 + 1));
  std::vector<float> flipped = tiny;
  for (float& value : flipped) value = -value;
  std::vector<float> nudged = tiny;
  nudged[500] += 3e-9F;
  const std::vector<std::pair<std::vector<float>, std::vector<float>>> cases = {
      {{nan, 1, 2, 3}, {nan, 50, 60, 70}},
      {{nan, 1}, {other_nan, 1}},
      {tiny, flipped},
      {tiny, nudged},
      {{0.0F}, {-0.0F}},
      {{1, 1}, {1, std::nextafter(1.0F, 2.0F)}}};

  for (const auto& [old, now] : cases) {
    const Kept first = kept(one_tensor(old));
    const Kept second = kept(one_tensor(now), {first.manifest});

    EXPECT_NE(first.manifest.tensors[0].id, second.manifest.tensors[0].id);
    EXPECT_EQ(restored(second.manifest), one_tensor(now));
    EXPECT_EQ(restored(first.manifest), one_tensor(old));
  }
}

TEST_F(KeptFile, UnchangedTensorsCostNothing) {
  const std::vector<float> a(5000, 1.5F);
  std::vector<float> b(5000, 2.5F);
  const Kept first = kept(file_of(
      {{"a", DType::f32, {5000}, floats(a)}, {"b", DType::f32, {50, 100}, floats(b)}}, 0, Json()));
  b[17] = 0;

  const Kept second =
      kept(file_of({{"a", DType::f32, {5000}, floats(a)}, {"b", DType::f32, {50, 100}, floats(b)}},
                   0,
                   Json()),
           {first.manifest});

  EXPECT_EQ(first.new_objects, 3U);  // and the header
  EXPECT_EQ(second.new_objects, 1U);
}

TEST_F(KeptFile, ThatIsNoCheckpointIsOpaque) {
  const std::string good = file_of({{"w", DType::f32, {2}, floats({1, 2})}}, 0, Json());
  const std::vector<std::string> files = {"hello",
                                          std::string(7, '\0'),
                                          std::string(3'000'000, 'x'),
                                          good.substr(0, good.size() - 1),
                                          good + "x",
                                          "PK\x03\x04 a PyTorch archive",
                                          std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10)};

  for (const std::string& file : files) {
    const Kept result = kept(file);

    EXPECT_TRUE(result.manifest.opaque());
    EXPECT_EQ(restored(result.manifest), file);
  }
}

TEST_F(KeptFile, OpaqueVersionsAreDeltasOfEachOther) {
  std::string file(200'000, '\0');
  Stream stream(3, StreamId::labels);
  for (char& byte : file) byte = static_cast<char>(stream.next());
  const Kept first = kept(file);
  file[100'000] ^= 1;

  const Kept second = kept(file, {first.manifest});

  EXPECT_LT(second.new_bytes, 500U);
  EXPECT_EQ(restored(second.manifest), file);
}

TEST_F(KeptFile, ThreeHundredTensorsAndFiftyVersionsStaySmall) {
  constexpr std::size_t kTensors = 300;
  Stream stream(4, StreamId::init);
  std::vector<std::vector<float>> values(kTensors, std::vector<float>(64));
  for (auto& tensor : values)
    for (float& value : tensor) value = static_cast<float>(stream.normal());
  std::vector<Manifest> history;
  std::vector<std::string> files;
  for (int version = 0; version < 50; ++version) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < kTensors; ++i) {
      if (stream.below(10) == 0) values[i][stream.below(64)] += 1;
      tensors.push_back({"layer." + std::to_string(i), DType::f32, {8, 8}, floats(values[i])});
    }
    files.push_back(file_of(tensors, 0, Json()));
    history.insert(
        history.begin(),
        kept(files.back(), history.empty() ? history : std::vector<Manifest>{history.front()})
            .manifest);
  }

  for (std::size_t version = 0; version < files.size(); version += 7)
    EXPECT_EQ(restored(history[history.size() - 1 - version]), files[version]) << version;
}

TEST_F(KeptFile, AMissingObjectIsToldBeforeTheFirstByte) {
  const Kept result = kept(file_of(
      {{"w", DType::f32, {2}, floats({1, 2})}, {"x", DType::f32, {1}, floats({3})}}, 0, Json()));
  ASSERT_TRUE(unsynced_files().remove_all(store_.path_of(result.manifest.find("x")->id)));
  bool called = false;

  const Result<void> done = restore(store_, result.manifest, [&](std::span<const std::byte>) {
    called = true;
    return Result<void>();
  });

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "object " + result.manifest.find("x")->id.hex + " is missing");
  EXPECT_FALSE(called);
  EXPECT_EQ(*missing_objects(store_, result.manifest),
            std::vector<ObjectId>{result.manifest.find("x")->id});
}

TEST_F(KeptFile, AManifestThatWasChangedByHandGivesNoFile) {
  Kept result = kept(file_of(
      {{"w", DType::f32, {1}, floats({1})}, {"x", DType::f32, {1}, floats({3})}}, 0, Json()));
  std::swap(result.manifest.tensors[0].id, result.manifest.tensors[1].id);

  const Result<void> done = restore_to_file(store_, result.manifest, folder_ / "out");

  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().what, HasSubstr("give another file"));
  EXPECT_FALSE(unsynced_files().exists(folder_ / "out"));
}

TEST_F(KeptFile, AKillAtAnyWriteLosesNothing) {
  const std::vector<Tensor> tensors = {{"a", DType::f32, {3}, floats({1, 2, 3})},
                                       {"b", DType::f32, {2}, floats({4, 5})}};
  const std::string file = file_of(tensors, 0, Json());
  for (int fail_at = 0;; ++fail_at) {
    test::TemporaryFolder folder;
    ASSERT_TRUE(unsynced_files().write_whole(folder / "model", file));
    test::FailingFiles dying(unsynced_files(), test::FailingFiles::Mode::killed, fail_at);
    const Result<Kept> died =
        keep(ObjectStore(dying, folder / "store"), folder / "model", {.threads = 1});
    if (!dying.failed()) {
      EXPECT_TRUE(died);
      break;
    }

    const ObjectStore store(unsynced_files(), folder / "store");
    const Result<Kept> again = keep(store, folder / "model", {.threads = 1});
    ASSERT_TRUE(again) << again.error().describe();
    ASSERT_TRUE(restore_to_file(store, again->manifest, folder / "out", 1));
    EXPECT_EQ(*unsynced_files().read(folder / "out"), file) << fail_at;
  }
}

}  // namespace
}  // namespace ration::versions
