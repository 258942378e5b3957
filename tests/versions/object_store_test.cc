#include "versions/object_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/hash.h"
#include "base/random.h"
#include "base/unsynced_files.h"
#include "support/failing_files.h"
#include "support/temporary_folder.h"

namespace ration::versions {
namespace {

using testing::HasSubstr;

Bytes weights(std::size_t count, std::uint64_t seed) {
  Stream stream(seed, StreamId::init);
  Bytes bytes(count * 4);
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(0.02 * stream.normal());
    std::memcpy(bytes.data() + 4 * i, &value, 4);
  }
  return bytes;
}

// One number of `step` gets other bits.
Bytes changed(Bytes bytes, std::size_t step, std::uint64_t seed) {
  Stream stream(seed, StreamId::labels);
  for (std::size_t i = stream.below(step); i < bytes.size() / 4; i += step)
    bytes[4 * i + stream.below(3)] ^= static_cast<std::byte>(1 + stream.below(255));
  return bytes;
}

ObjectId id_of(std::span<const std::byte> bytes) {
  return {sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()})};
}

Content content_of(const Bytes& bytes, std::vector<ObjectId> relatives = {}) {
  Layout layout = layout_of_bytes(bytes.size());
  layout.item_bytes = 4;
  return {.id = id_of(bytes), .bytes = bytes, .layout = layout, .relatives = std::move(relatives)};
}

class Objects : public testing::Test {
 protected:
  Bytes read(const ObjectId& id) {
    const Result<ObjectReader> reader = store_.open(id);
    EXPECT_TRUE(reader) << reader.error().describe();
    Bytes bytes(reader->layout().bytes);
    for (std::uint64_t i = 0; i < block_count(bytes.size()); ++i)
      EXPECT_TRUE(reader->block(
          i, std::span(bytes).subspan(i * kBlockBytes, bytes_of_block(bytes.size(), i))));
    return bytes;
  }

  test::TemporaryFolder folder_;
  ObjectStore store_{unsynced_files(), folder_ / "store"};
};

TEST_F(Objects, ComeBackAndAreStoredOnce) {
  const Bytes bytes = weights(700'000, 1);  // three blocks, the last one shorter

  const Result<Stored> first = store_.add(content_of(bytes), 2);
  const Result<Stored> second = store_.add(content_of(bytes), 2);

  ASSERT_TRUE(first) << first.error().describe();
  EXPECT_LT(static_cast<double>(first->bytes), 0.88 * static_cast<double>(bytes.size()));
  EXPECT_EQ(second->bytes, 0U);
  EXPECT_EQ(read(id_of(bytes)), bytes);
  EXPECT_EQ(*store_.open(id_of(bytes))->digest(), id_of(bytes));
  EXPECT_EQ(*store_.list(), std::vector<ObjectId>{id_of(bytes)});
}

TEST_F(Objects, ChangedInPlacesCostThePlaces) {
  const Bytes old = weights(700'000, 1);
  const Bytes now = changed(old, 100, 2);
  ASSERT_TRUE(store_.add(content_of(old), 2));

  const Result<Stored> stored = store_.add(content_of(now, {id_of(old)}), 2);

  ASSERT_TRUE(stored);
  EXPECT_LT(static_cast<double>(stored->bytes), 0.012 * static_cast<double>(now.size()));
  EXPECT_EQ(read(id_of(now)), now);
  EXPECT_EQ(store_.open(id_of(now))->info().parent, id_of(old));
}

TEST_F(Objects, TakeNoParentThatSavesNothing) {
  const Bytes old = weights(70'000, 1);
  const Bytes now = weights(70'000, 2);
  ASSERT_TRUE(store_.add(content_of(old), 1));

  ASSERT_TRUE(store_.add(content_of(now, {id_of(old)}), 1));

  EXPECT_FALSE(store_.open(id_of(now))->info().parent);
}

TEST_F(Objects, ChainsStopAtTheirLimit) {
  Bytes bytes = weights(20'000, 1);
  ASSERT_TRUE(store_.add(content_of(bytes), 1));
  int deepest = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    const ObjectId old = id_of(bytes);
    bytes = changed(bytes, 500, i);
    ASSERT_TRUE(store_.add(content_of(bytes, {old}), 1, {.depth = 4}));
    deepest = std::max(deepest, store_.open(id_of(bytes))->depth());
    EXPECT_EQ(read(id_of(bytes)), bytes);
  }

  EXPECT_EQ(deepest, 4);
}

TEST_F(Objects, AreTheSameFilesForAnyNumberOfThreads) {
  const Bytes old = weights(2'000'000, 1);
  const Bytes now = changed(old, 3, 2);
  const ObjectStore other(unsynced_files(), folder_ / "other");
  for (const auto& [store, threads] :
       std::vector<std::pair<const ObjectStore*, int>>{{&store_, 1}, {&other, 5}}) {
    ASSERT_TRUE(store->add(content_of(old), threads));
    ASSERT_TRUE(store->add(content_of(now, {id_of(old)}), threads));
  }

  for (const ObjectId& id : {id_of(old), id_of(now)})
    EXPECT_EQ(*unsynced_files().read(store_.path_of(id)),
              *unsynced_files().read(other.path_of(id)));
}

TEST_F(Objects, MissingOnesAndMissingParentsAreToldApart) {
  const Bytes old = weights(7'000, 1);
  const Bytes now = changed(old, 100, 2);
  ASSERT_TRUE(store_.add(content_of(old), 1));
  ASSERT_TRUE(store_.add(content_of(now, {id_of(old)}), 1));
  ASSERT_TRUE(unsynced_files().remove_all(store_.path_of(id_of(old))));

  const Result<ObjectReader> gone = store_.open(id_of(old));
  const Result<ObjectReader> orphan = store_.open(id_of(now));

  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().what, "object " + id_of(old).hex + " is missing");
  ASSERT_FALSE(orphan);
  EXPECT_THAT(orphan.error().what, HasSubstr("object " + id_of(now).hex + " builds on it"));
}

TEST_F(Objects, DamageOfAnyByteIsNoticed) {
  const Bytes old = weights(300, 1);
  const Bytes now = changed(old, 20, 2);
  ASSERT_TRUE(store_.add(content_of(old), 1));
  ASSERT_TRUE(store_.add(content_of(now, {id_of(old)}), 1));
  const Path path = store_.path_of(id_of(now));
  const std::string good = *unsynced_files().read(path);
  std::size_t unnoticed = 0;

  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x40);
    ASSERT_TRUE(unsynced_files().write_whole(path, bad));
    const Result<ObjectReader> reader = store_.open(id_of(now));
    Bytes block(now.size());
    unnoticed += reader && reader->block(0, block) ? 1 : 0;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(unsynced_files().write_whole(path, good.substr(0, size)));
    unnoticed += store_.open(id_of(now)) ? 1 : 0;
  }

  EXPECT_EQ(unnoticed, 0U);
}

TEST_F(Objects, ADamagedBlockOfARelativeCostsSizeOnly) {
  const Bytes old = weights(1'500'000, 1);  // six blocks, of which the last one is damaged
  const Bytes now = changed(old, 100, 2);
  ASSERT_TRUE(store_.add(content_of(old), 2));
  std::string file = *unsynced_files().read(store_.path_of(id_of(old)));
  file[file.size() * 9 / 10] ^= 1;
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id_of(old)), file));

  const Result<Stored> stored = store_.add(content_of(now, {id_of(old)}), 2);

  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(read(id_of(now)), now);
  EXPECT_FALSE(store_.open(id_of(now))->info().parent);
}

TEST_F(Objects, AddingAgainReplacesDamage) {
  const Bytes old = weights(1'500'000, 1);
  const Bytes now = changed(old, 100, 2);
  ASSERT_TRUE(store_.add(content_of(old), 2));
  ASSERT_TRUE(store_.add(content_of(now, {id_of(old)}), 2));
  std::string file = *unsynced_files().read(store_.path_of(id_of(old)));
  file[file.size() / 2] ^= 1;
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id_of(old)), file));

  ASSERT_TRUE(store_.add(content_of(now), 2));  // damaged by what it builds on

  EXPECT_EQ(read(id_of(now)), now);
  ASSERT_TRUE(store_.add(content_of(old), 2));
  EXPECT_EQ(read(id_of(old)), old);
}

TEST_F(Objects, AnUnreadableRelativeCostsSizeOnly) {
  const Bytes old = weights(7'000, 1);
  const Bytes now = changed(old, 100, 2);
  ASSERT_TRUE(store_.add(content_of(old), 1));
  ASSERT_TRUE(unsynced_files().write_whole(store_.path_of(id_of(old)), "nonsense"));

  ASSERT_TRUE(store_.add(content_of(now, {id_of(old)}), 1));

  EXPECT_EQ(read(id_of(now)), now);
}

TEST_F(Objects, AKillAtAnyWriteLeavesWholeObjectsOrNone) {
  const Bytes old = weights(3'000, 1);
  const Bytes now = changed(old, 50, 2);
  for (const auto mode : {test::FailingFiles::Mode::killed, test::FailingFiles::Mode::disk_full})
    for (int fail_at = 0;; ++fail_at) {
      test::TemporaryFolder folder;
      test::FailingFiles failing(unsynced_files(), mode, fail_at);
      const ObjectStore dying(failing, folder / "store");
      const ObjectStore store(unsynced_files(), folder / "store");
      const bool first = dying.add(content_of(old), 1).has_value();
      const bool second = first && dying.add(content_of(now, {id_of(old)}), 1).has_value();
      if (!failing.failed()) break;

      const Result<std::vector<ObjectId>> left = store.list();
      for (const ObjectId& id : *left) EXPECT_EQ(*store.open(id)->digest(), id) << fail_at;
      EXPECT_FALSE(second && !store.contains(id_of(now)));
      ASSERT_TRUE(store.add(content_of(old), 1));
      ASSERT_TRUE(store.add(content_of(now, {id_of(old)}), 1));
      EXPECT_EQ(*store.open(id_of(now))->digest(), id_of(now)) << fail_at;
    }
}

}  // namespace
}  // namespace ration::versions
