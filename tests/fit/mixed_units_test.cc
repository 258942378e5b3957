#include "fit/mixed_units.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "fit/support.h"

namespace ration::fit {
namespace {

using Places = std::vector<std::size_t>;

void to_bits(Observation& run) { run.loss = Loss(run.loss.value / std::log(2.0)); }

std::vector<Observation> rows_of(const std::string& table, std::size_t stride) {
  const std::vector<Observation> published = test::published_runs(
      table,
      {.where = table.starts_with("data") ? "in_published_fit=1 and epochs<=16" : "",
       .drop_outliers = table.starts_with("chinchilla")});
  std::vector<Observation> rows;
  for (std::size_t i = 0; i < published.size(); i += stride) rows.push_back(published[i]);
  return rows;
}

struct Table {
  std::string name;
  std::size_t stride;  // every how many-th row is taken
};
const Table kTables[] = {{"chinchilla_245.csv", 1},
                         {"chinchilla_245.csv", 12},
                         {"data_constrained_c4.csv", 1},
                         {"data_constrained_c4.csv", 3},
                         {"quickstart_runs.csv", 1}};

TEST(MixedUnits, AreFoundWhereOneRunIsInBits) {
  for (const Table& table : kTables) {
    std::vector<Observation> runs = rows_of(table.name, table.stride);
    const std::size_t place = runs.size() / 3;
    to_bits(runs[place]);
    const MixedUnits mixed = find_mixed_units(runs);
    EXPECT_EQ(mixed.places, Places{place}) << table.name << " of " << runs.size();
    EXPECT_TRUE(mixed.bits);
  }
}

TEST(MixedUnits, AreFoundWhereAboutHalfOfTheRunsAreInBits) {
  for (const Table& table : kTables)
    for (const bool most : {false, true}) {
      std::vector<Observation> runs = rows_of(table.name, table.stride);
      Stream stream(7, StreamId::starts);
      Places in_bits, in_nats;
      for (std::size_t i = 0; i < runs.size(); ++i) {
        const bool converted = stream.uniform() < (most ? 0.65 : 0.4);
        (converted ? in_bits : in_nats).push_back(i);
        if (converted) to_bits(runs[i]);
      }
      const MixedUnits mixed = find_mixed_units(runs);
      const bool fewer_bits = 2 * in_bits.size() <= runs.size();
      EXPECT_EQ(mixed.places, fewer_bits ? in_bits : in_nats) << table.name << ' ' << runs.size();
      EXPECT_EQ(mixed.bits, fewer_bits);
    }
}

TEST(MixedUnits, AreNotSeenInTablesOfOneUnit) {
  for (const char* name : {"chinchilla_245.csv", "data_constrained_c4.csv", "quickstart_runs.csv"})
    EXPECT_THAT(find_mixed_units(test::published_runs(name)).places, testing::IsEmpty()) << name;
  for (const Table& table : kTables) {
    std::vector<Observation> runs = rows_of(table.name, table.stride);
    EXPECT_THAT(find_mixed_units(runs).places, testing::IsEmpty()) << table.name;
    for (Observation& run : runs) to_bits(run);
    EXPECT_THAT(find_mixed_units(runs).places, testing::IsEmpty()) << table.name << ", all in bits";
  }
}

TEST(MixedUnits, AreNotSeenInShuffledLosses) {
  for (std::uint64_t k = 0; k < 5; ++k) {
    std::vector<Observation> runs = rows_of("chinchilla_245.csv", 4);
    Stream stream(k, StreamId::starts);
    for (std::size_t i = runs.size(); i > 1; --i)
      std::swap(runs[i - 1].loss, runs[stream.below(i)].loss);
    EXPECT_THAT(find_mixed_units(runs).places, testing::IsEmpty());
  }
}

TEST(MixedUnits, AreNotSeenInARunThatWentWrong) {
  for (const double factor : {0.8, 1.2, 1.3, 1.6, 2.0}) {
    std::vector<Observation> runs = rows_of("chinchilla_245.csv", 1);
    runs[50].loss = Loss(runs[50].loss.value * factor);
    EXPECT_THAT(find_mixed_units(runs).places, testing::IsEmpty()) << factor;
  }
}

}  // namespace
}  // namespace ration::fit
