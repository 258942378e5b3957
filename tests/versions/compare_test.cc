#include "versions/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "versions/versions.h"

namespace ration {
namespace {

using checkpoint::DType;
using test::Versions;
using versions::Change;
using versions::compare;
using versions::Difference;
using versions::Manifest;
using versions::Movement;
using versions::Source;

class Compare : public testing::Test {
 protected:
  Difference difference(const Manifest& before, const Manifest& after) {
    return compare(Source(disk.store(), before), Source(disk.store(), after), {.threads = 2});
  }

  // Of one tensor that was modified.
  Movement movement(const Manifest& before, const Manifest& after) {
    const Difference found = difference(before, after);
    if (found.tensors.size() != 1 || !found.tensors[0].movement)
      throw std::runtime_error("no movement");
    return *found.tensors[0].movement;
  }

  template <class Item>
  Manifest of(DType dtype, const std::vector<Item>& values) {
    return disk.keep(disk.write({test::view("w", dtype, {values.size()}, values)}));
  }

  Versions disk;
};

TEST_F(Compare, TellsEveryKindOfChangeInOrder) {
  const std::vector<int> whole = {1};
  const std::vector<float> one = {1};
  const Manifest before = disk.keep({{"gone", {{1}, {1}}},
                                     {"little", {{2}, {100, 0}}},
                                     {"much", {{2}, {1, 0}}},
                                     {"rested", {{1}, {1}}},
                                     {"turned", {{1, 2}, {1, 2}}},
                                     {"typed", {{1}, {1}}}});
  const std::vector<float> little = {100, 1};
  const std::vector<float> much = {1, 1};
  const std::vector<float> turned = {1, 2};
  const Manifest after = disk.keep(disk.write({test::view("little", DType::f32, {2}, little),
                                               test::view("much", DType::f32, {2}, much),
                                               test::view("new", DType::f32, {1}, one),
                                               test::view("rested", DType::f32, {1}, one),
                                               test::view("turned", DType::f32, {2, 1}, turned),
                                               test::view("typed", DType::i32, {1}, whole)}));

  std::string order;
  for (const auto& change : difference(before, after).tensors)
    order += change.name + ": " + std::string(name(change.change)) + "\n";

  EXPECT_EQ(order,
            "much: modified\nlittle: modified\ntyped: dtype changed\nturned: shape changed\n"
            "new: added\ngone: removed\nrested: same\n");
}

TEST_F(Compare, MeasuresAsTheFormulasDo) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  // Two blocks and a part, so that sums cross their borders.
  std::vector<float> a((2 << 18) + 1000);
  std::vector<float> b(a.size());
  double olds = 0, news = 0, deltas = 0, products = 0, largest = 0;
  std::uint64_t changed = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    a[j] = normal(random);
    b[j] = j % 3 == 0 ? a[j] + 0.01F * normal(random) : a[j];
    const double x = a[j];
    const double y = b[j];
    olds += x * x, news += y * y, products += x * y, deltas += (y - x) * (y - x);
    largest = std::max(largest, std::abs(y - x));
    changed += a[j] != b[j] ? 1 : 0;
  }

  const Movement found = movement(of(DType::f32, a), of(DType::f32, b));

  EXPECT_EQ(found.elements, a.size());
  EXPECT_EQ(found.tally.changed, changed);
  EXPECT_EQ(found.tally.largest, largest);
  // Half a million additions in another order.
  EXPECT_NEAR(found.relative(), std::sqrt(deltas / olds), 1e-12);
  EXPECT_NEAR(found.cosine(), products / std::sqrt(olds * news), 1e-12);
}

TEST_F(Compare, DoesNotDependOnThreads) {
  std::vector<float> a(3 << 18);
  for (std::size_t j = 0; j < a.size(); ++j) a[j] = static_cast<float>(j % 1013) - 400;
  std::vector<float> b = a;
  for (float& value : b) value *= 1.001F;
  const Source before(disk.store(), of(DType::f32, a));
  const Source after(disk.store(), of(DType::f32, b));

  const auto squares = [&](int threads) {
    return compare(before, after, {.threads = threads}).tensors[0].movement->tally.delta_squares;
  };

  EXPECT_EQ(squares(1), squares(5));
}

// The spec's section 2, defects 1 and 2: Git-Theta took both for unchanged.
TEST_F(Compare, SeesPayloadsOfNaNAndTinySigns) {
  const std::vector<std::uint32_t> quiet = {0x7fc00000, 0x3f800000};
  const std::vector<std::uint32_t> payload = {0x7fc00001, 0x3f800000};
  const Movement nans = movement(of(DType::f32, quiet), of(DType::f32, payload));
  EXPECT_EQ(nans.tally.changed, 1U);
  EXPECT_EQ(nans.tally.old_nan, 1U);
  EXPECT_EQ(nans.tally.new_nan, 1U);
  EXPECT_EQ(nans.relative(), 0) << "of the numbers that are numbers";

  const Movement signs = movement(of(DType::f32, std::vector<float>{1e-10F, -2e-10F}),
                                  of(DType::f32, std::vector<float>{-1e-10F, 2e-10F}));
  EXPECT_EQ(signs.changed_share(), 1);
  EXPECT_NEAR(signs.relative(), 2, 1e-12);
  EXPECT_NEAR(signs.cosine(), -1, 1e-12);
}

TEST_F(Compare, CountsNaNAndInfinityOnBothSides) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();

  const Movement found = movement(of(DType::f32, std::vector<float>{1, nan, 3, 4}),
                                  of(DType::f32, std::vector<float>{1, nan, -infinity, infinity}));

  EXPECT_EQ(found.tally.old_nan, 1U);
  EXPECT_EQ(found.tally.new_nan, 1U);
  EXPECT_EQ(found.tally.old_infinite, 0U);
  EXPECT_EQ(found.tally.new_infinite, 2U);
  EXPECT_EQ(found.tally.changed, 2U);
}

TEST_F(Compare, StepsOfWholeNumbersAreExact) {
  constexpr std::int64_t kLow = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kHigh = std::numeric_limits<std::int64_t>::max();
  const Movement wide = movement(of(DType::i64, std::vector<std::int64_t>{kLow, 5}),
                                 of(DType::i64, std::vector<std::int64_t>{kHigh, 5}));
  EXPECT_EQ(wide.tally.largest, std::ldexp(1.0, 64)) << "2^64 - 1, rounded to a double";
  EXPECT_EQ(wide.tally.changed, 1U);

  const Movement bytes = movement(of(DType::i8, std::vector<std::int8_t>{-128, 3, 7}),
                                  of(DType::i8, std::vector<std::int8_t>{127, 3, 5}));
  EXPECT_EQ(bytes.tally.largest, 255);
  EXPECT_FALSE(versions::has_sums(DType::i8));
}

TEST_F(Compare, CountsEntriesOfEveryDtype) {
  for (const DType dtype : {DType::boolean,
                            DType::f8_e4m3,
                            DType::bf16,
                            DType::f16,
                            DType::f64,
                            DType::c64,
                            DType::u16,
                            DType::u64}) {
    std::vector<std::uint8_t> a(16 * checkpoint::item_bytes(dtype), 1);
    std::vector<std::uint8_t> b = a;
    b.front() = 0;
    b.back() = 0;
    const auto keep = [&](const std::vector<std::uint8_t>& bytes) {
      return disk.keep(disk.write({test::view("w", dtype, {16}, bytes)}));
    };

    const Movement found = movement(keep(a), keep(b));

    EXPECT_EQ(found.elements, 16U) << checkpoint::name(dtype);
    EXPECT_EQ(found.tally.changed, 2U) << checkpoint::name(dtype);
  }
}

TEST_F(Compare, FindsTheRankOfAnAdapter) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  constexpr std::size_t kSide = 96;
  std::vector<float> a(kSide * kSide);
  for (float& value : a) value = normal(random);
  const auto changed_by = [&](int rank) {
    std::vector<float> b = a;
    for (int r = 0; r < rank; ++r) {
      std::vector<float> u(kSide), v(kSide);
      for (float& value : u) value = normal(random);
      for (float& value : v) value = 0.1F * normal(random);
      for (std::size_t i = 0; i < kSide; ++i)
        for (std::size_t j = 0; j < kSide; ++j) b[i * kSide + j] += u[i] * v[j];
    }
    return b;
  };
  const auto keep = [&](const std::vector<float>& values) {
    return disk.keep({{"w", {{kSide, kSide}, values}}});
  };

  EXPECT_EQ(movement(keep(a), keep(changed_by(3))).rank, 3);
  EXPECT_EQ(movement(keep(a), keep(changed_by(static_cast<int>(kSide)))).rank, std::nullopt);
}

TEST_F(Compare, ReadsFilesAndManifestsAlike) {
  const Path old_file = disk.write({{"w", {{2}, {1, 2}}}, {"v", {{1}, {1}}}}, {{"step", "1"}});
  const Path new_file = disk.write({{"w", {{2}, {1, 3}}}, {"v", {{1}, {1}}}}, {{"step", "2"}});
  const Path manifest = disk.folder() / "manifest";
  ASSERT_TRUE(real_files().write_whole(manifest, to_text(disk.keep(old_file))));

  for (const Path& before : {old_file, manifest}) {
    const auto a = Source::open(disk.store(), before, 1);
    const auto b = Source::open(disk.store(), new_file, 1);
    ASSERT_TRUE(a && b);
    const Difference found = compare(*a, *b, {});
    EXPECT_EQ(found.tensors[0].name, "w");
    EXPECT_EQ(found.tensors[0].movement->tally.largest, 1);
    EXPECT_EQ(found.tensors[1].change, Change::same);
    ASSERT_EQ(found.metadata.size(), 1U);
    EXPECT_EQ(found.metadata[0].before, "1");
    EXPECT_EQ(found.metadata[0].after, "2");
  }
}

TEST_F(Compare, TellsStatesThoughObjectsAreMissing) {
  const Manifest before = disk.keep({{"w", {{1}, {1}}}, {"v", {{1}, {1}}}});
  const Manifest after = disk.keep({{"w", {{1}, {2}}}, {"v", {{1}, {1}}}});
  ASSERT_TRUE(real_files().remove_all(disk.store().path_of(before.find("w")->id)));

  const Difference found = difference(before, after);

  EXPECT_EQ(found.tensors[0].change, Change::modified);
  EXPECT_FALSE(found.tensors[0].movement);
  EXPECT_EQ(found.tensors[1].change, Change::same);
  ASSERT_EQ(found.unread.size(), 1U);
  EXPECT_NE(found.unread[0].find("is missing"), std::string::npos);
}

TEST_F(Compare, TakesOpaqueFilesAsAWhole) {
  const auto opaque = [&](const char* text) {
    const Path path = disk.folder() / text;
    EXPECT_TRUE(real_files().write_whole(path, text));
    return *Source::open(disk.store(), path, 1);
  };

  const Difference found = compare(opaque("one"), opaque("two"), {});

  EXPECT_TRUE(found.opaque);
  EXPECT_TRUE(found.file_changed);
  EXPECT_TRUE(found.tensors.empty());
  EXPECT_FALSE(compare(opaque("one"), opaque("one"), {}).file_changed);
}

}  // namespace
}  // namespace ration
