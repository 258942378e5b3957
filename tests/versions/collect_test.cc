#include "versions/collect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/hash.h"
#include "base/random.h"
#include "base/unsynced_files.h"
#include "support/failing_files.h"
#include "support/temporary_folder.h"
#include "versions/hold.h"

namespace ration::versions {
namespace {

using checkpoint::DType;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::uint64_t kCount = 4000;

// A store with five versions of one tensor, each a delta on the one before.
class Collection : public testing::Test {
 protected:
  Collection() {
    Stream stream(1, StreamId::init);
    std::vector<float> values(kCount);
    for (float& value : values) value = static_cast<float>(stream.normal());
    for (int version = 0; version < 5; ++version) {
      values[stream.below(kCount)] += 1;
      Bytes bytes(kCount * 4);
      std::memcpy(bytes.data(), values.data(), bytes.size());
      contents_.push_back(bytes);
      const ObjectId id{sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()})};
      Manifest manifest;
      manifest.file = id;
      manifest.header = ManifestHeader{{sha256_hex("")}, 0};
      manifest.tensors = {{"w", DType::f32, {kCount}, id, bytes.size()}};
      versions_.push_back(manifest);
      fill(store_, version);
    }
  }

  void fill(const ObjectStore& store, int version) {
    const auto at = static_cast<std::size_t>(version);
    const Content content{.id = id(version),
                          .bytes = contents_[at],
                          .layout = layout_of(DType::f32, {kCount}),
                          .relatives = version == 0 ? std::vector<ObjectId>{}
                                                    : std::vector<ObjectId>{id(version - 1)}};
    ASSERT_TRUE(store.add(content, 1));
  }

  const ObjectId& id(int version) const {
    return versions_[static_cast<std::size_t>(version)].tensors[0].id;
  }

  void make_old(const ObjectStore& store) {
    const Result<std::vector<ObjectId>> ids = store.list();
    for (const ObjectId& object : *ids) {
      const Path path = store.path_of(object);
      std::filesystem::last_write_time(
          path, std::filesystem::last_write_time(path) - std::chrono::hours(24 * 30));
    }
  }

  void expect_whole(const ObjectStore& store) {
    for (int version = 0; version < 5; ++version) {
      const Result<ObjectReader> reader = store.open(id(version));
      ASSERT_TRUE(reader) << reader.error().describe();
      EXPECT_EQ(*reader->digest(), id(version));
    }
  }

  static ListManifests lists(std::vector<Manifest> manifests) {
    return [manifests] { return Result<std::vector<Manifest>>(manifests); };
  }

  std::vector<Manifest> newest_first() const { return {versions_.rbegin(), versions_.rend()}; }

  test::TemporaryFolder folder_;
  ObjectStore store_{unsynced_files(), folder_ / "store"};
  std::vector<Bytes> contents_;
  std::vector<Manifest> versions_;
};

TEST_F(Collection, SparesWhatIsNeededWithItsParents) {
  make_old(store_);

  const Result<Collected> done =
      collect(store_, lists({versions_[2]}), system_clock(), {.remove = true});

  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(done->needed, 3U);  // the version and the two that it builds on
  EXPECT_EQ(done->removed, 2U);
  EXPECT_EQ(*store_.open(id(2))->digest(), id(2));
  EXPECT_FALSE(store_.contains(id(3)));
}

TEST_F(Collection, SparesYoungObjects) {
  const Result<Collected> done = collect(store_, lists({}), system_clock(), {.remove = true});

  ASSERT_TRUE(done);
  EXPECT_EQ(done->young, 5U);
  expect_whole(store_);
}

TEST_F(Collection, CountsOnlyUnlessItIsToldToRemove) {
  make_old(store_);

  const Result<Collected> done = collect(store_, lists({}), system_clock(), {});

  EXPECT_EQ(done->removed, 5U);
  EXPECT_GT(done->removed_bytes, 1000U);
  expect_whole(store_);
}

TEST_F(Collection, AnObjectThatIsAddedAgainIsYoungAgain) {
  make_old(store_);
  fill(store_, 0);

  const Result<Collected> done = collect(store_, lists({}), system_clock(), {.remove = true});

  EXPECT_EQ(done->young, 1U);
  EXPECT_TRUE(store_.contains(id(0)));
}

TEST_F(Collection, YoungObjectsKeepTheOldOnesThatTheyBuildOn) {
  make_old(store_);
  // As an add leaves it whose manifest nobody has yet.
  std::filesystem::last_write_time(store_.path_of(id(3)),
                                   std::filesystem::file_time_type::clock::now());

  const Result<Collected> done = collect(store_, lists({}), system_clock(), {.remove = true});

  EXPECT_EQ(done->needed, 3U);
  EXPECT_EQ(done->removed, 1U);
  EXPECT_EQ(*store_.open(id(3))->digest(), id(3));
}

TEST_F(Collection, RemovesNothingWhileANeededObjectIsDamaged) {
  make_old(store_);
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id(1)), "nonsense"));

  const Result<Collected> done =
      collect(store_, lists({versions_[2]}), system_clock(), {.remove = true});

  EXPECT_FALSE(done);
  EXPECT_THAT(*store_.list(), SizeIs(5));
}

TEST_F(Collection, WaitsForNobodyAndTouchesNothingBesideOthers) {
  make_old(store_);
  const Result<Hold> adding = Hold::to_add(unsynced_files(), store_.folder());
  ASSERT_TRUE(adding);

  const Result<Collected> done = collect(store_, lists({}), system_clock(), {.remove = true});

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::resource);
  EXPECT_THAT(done.error().what, HasSubstr("another process works on"));
  expect_whole(store_);
}

TEST_F(Collection, KilledAnywhereKeepsWhatIsNeeded) {
  for (int fail_at = 0;; ++fail_at) {
    test::TemporaryFolder folder;
    const ObjectStore store(unsynced_files(), folder / "store");
    for (int version = 0; version < 5; ++version) fill(store, version);
    make_old(store);
    test::FailingFiles dying(unsynced_files(), test::FailingFiles::Mode::killed, fail_at);
    const Result<Collected> died = collect(ObjectStore(dying, folder / "store"),
                                           lists({versions_[2]}),
                                           system_clock(),
                                           {.remove = true});

    EXPECT_EQ(*store.open(id(2))->digest(), id(2));
    if (dying.failed()) continue;
    EXPECT_EQ(died->removed, 2U);
    break;
  }
}

TEST_F(Collection, RepackingMakesTheNewestVersionFull) {
  EXPECT_EQ(store_.open(id(4))->depth(), 4);
  const std::vector<std::vector<Manifest>> files = {newest_first()};

  const Result<Repacked> done = repack(store_, files, 1);

  ASSERT_TRUE(done) << done.error().describe();
  EXPECT_EQ(done->objects, 5U);
  EXPECT_EQ(store_.open(id(4))->depth(), 0);
  EXPECT_EQ(store_.open(id(0))->depth(), 4);
  expect_whole(store_);
  EXPECT_EQ(repack(store_, files, 1)->objects, 0U);
}

TEST_F(Collection, RepackingInTwoOrdersMakesNoCircle) {
  const std::vector<std::vector<Manifest>> files = {newest_first(), versions_};
  const std::vector<std::vector<Manifest>> turned = {versions_, newest_first()};

  ASSERT_TRUE(repack(store_, files, 1));
  expect_whole(store_);
  ASSERT_TRUE(repack(store_, turned, 1));
  expect_whole(store_);
}

TEST_F(Collection, RepackingKilledAnywhereLosesNothing) {
  const std::vector<std::vector<Manifest>> files = {newest_first()};
  for (const auto mode : {test::FailingFiles::Mode::killed, test::FailingFiles::Mode::disk_full})
    for (int fail_at = 0;; ++fail_at) {
      test::TemporaryFolder folder;
      const ObjectStore store(unsynced_files(), folder / "store");
      for (int version = 0; version < 5; ++version) fill(store, version);
      test::FailingFiles dying(unsynced_files(), mode, fail_at);
      const Result<Repacked> died = repack(ObjectStore(dying, folder / "store"), files, 1);

      expect_whole(store);
      ASSERT_TRUE(repack(store, files, 1));
      expect_whole(store);
      if (!dying.failed()) break;
    }
}

TEST_F(Collection, CheckingNamesTheBadObjects) {
  EXPECT_THAT(*check_objects(store_, 2), SizeIs(0));
  // Whole, but not what its name says; and what builds on it.
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id(3)),
                                           *unsynced_files().read(store_.path_of(id(0)))));

  const Result<std::vector<BadObject>> bad = check_objects(store_, 2);

  ASSERT_TRUE(bad);
  ASSERT_THAT(*bad, SizeIs(2));
  for (const BadObject& object : *bad) {
    EXPECT_TRUE(object.id == id(3) || object.id == id(4));
    EXPECT_THAT(object.reason, HasSubstr("have the digest"));
    EXPECT_EQ(object.itself, object.id == id(3));
  }
}

TEST_F(Collection, AddingAgainHealsWhatLostItsParent) {
  ASSERT_TRUE(unsynced_files().remove_all(store_.path_of(id(1))));
  EXPECT_THAT(*check_objects(store_, 2), SizeIs(3));

  for (int version = 0; version < 5; ++version) fill(store_, version);

  expect_whole(store_);
}

// As two clones can leave it in one folder: each encoded one of the two on the other.
TEST_F(Collection, ObjectsThatBuildOnEachOtherAreToldAndHeal) {
  test::TemporaryFolder folder;
  const ObjectStore other(unsynced_files(), folder / "store");
  for (const int version : {1, 0}) {
    const auto at = static_cast<std::size_t>(version);
    ASSERT_TRUE(other.add(
        {.id = id(version),
         .bytes = contents_[at],
         .layout = layout_of(DType::f32, {kCount}),
         .relatives = version == 0 ? std::vector<ObjectId>{id(1)} : std::vector<ObjectId>{}},
        1));
  }
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id(0)),
                                           *unsynced_files().read(other.path_of(id(0)))));

  const Result<std::vector<BadObject>> bad = check_objects(store_, 1);

  ASSERT_THAT(*bad, SizeIs(5));
  for (const BadObject& object : *bad)
    EXPECT_EQ(object.itself, object.id == id(0) || object.id == id(1)) << object.reason;
  EXPECT_THAT(store_.open(id(0)).error().what, HasSubstr("builds on itself"));
  for (int version = 0; version < 5; ++version) fill(store_, version);
  expect_whole(store_);
}

TEST_F(Collection, AddingAgainSparesWhatItBuildsOnToo) {
  make_old(store_);
  ASSERT_TRUE(store_.use(id(2)));

  const Result<Collected> done = collect(store_, lists({}), system_clock(), {.remove = true});

  EXPECT_EQ(done->young, 3U);
  EXPECT_EQ(*store_.open(id(2))->digest(), id(2));
}

TEST_F(Collection, AsksWhatIsNeededWhileNobodyCanAdd) {
  const auto list = [&] {
    EXPECT_FALSE(Hold::alone(unsynced_files(), store_.folder()));
    return Result<std::vector<Manifest>>(versions_);
  };

  EXPECT_TRUE(collect(store_, list, system_clock(), {}));
}

TEST_F(Collection, RepackingLeavesFilesOfOneVersionAlone) {
  std::vector<std::vector<Manifest>> files;
  for (const Manifest& version : versions_) files.push_back({version});

  EXPECT_EQ(repack(store_, files, 1)->objects, 0U);
  expect_whole(store_);
}

TEST_F(Collection, StatisticsCountFilesAndWhatTheyHold) {
  const Result<StoreStatistics> sum = statistics(store_);

  EXPECT_EQ(sum->objects, 5U);
  EXPECT_EQ(sum->full, 1U);
  EXPECT_EQ(sum->deltas, 4U);
  EXPECT_EQ(sum->deepest, 4);
  EXPECT_EQ(sum->logical_bytes, 5 * kCount * 4);
  EXPECT_LT(sum->delta_bytes, 4 * 400U);
}

}  // namespace
}  // namespace ration::versions
