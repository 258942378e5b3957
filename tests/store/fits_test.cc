#include "store_fixture.h"

namespace ration::store {
namespace {

using Fits = StoreTest;

FitRecord fit_with_loss(double loss, const std::string& law = "chinchilla") {
  return {.law = law,
          .query = "tiny",
          .status = "converged",
          .loss = loss,
          .document = {{"schema", "ration.fit/1"}, {"objective", loss}}};
}

TEST_F(Fits, TheNewestOfALawIsFound) {
  FitWriter fits = FitWriter::open(real_files(), clock, folder.path()).value();
  ASSERT_TRUE(fits.record(fit_with_loss(1)));
  clock.now += 1;
  ASSERT_TRUE(fits.record(fit_with_loss(2)));
  clock.now += 1;
  ASSERT_TRUE(fits.record(fit_with_loss(3, "data-constrained")));

  ASSERT_TRUE(open_reader().newest_fit().value().has_value());
  EXPECT_EQ(open_reader().newest_fit("chinchilla").value()->fit.document["objective"], 2);
  EXPECT_EQ(open_reader().newest_fit().value()->fit.law, "data-constrained");
  EXPECT_FALSE(open_reader().newest_fit("no such law").value().has_value());
}

TEST_F(Fits, AreRecordedWhileASchedulerHoldsTheStore) {
  Writer writer = open_writer();
  const run::RunSpec spec = test::small_spec();
  add_sweep(writer, {spec});
  FitWriter fits = FitWriter::open(real_files(), clock, folder.path()).value();
  FitRecord fit = fit_with_loss(1);
  fit.runs = {run::run_id(spec)};

  ASSERT_TRUE(fits.record(fit));

  EXPECT_EQ(writer.newest_fit().value()->fit.runs, fit.runs);
}

TEST_F(Fits, TheSameFitTwiceIsOneRow) {
  FitWriter fits = FitWriter::open(real_files(), clock, folder.path()).value();
  const auto first = fits.record(fit_with_loss(1)).value();
  clock.now += 5;

  EXPECT_EQ(fits.record(fit_with_loss(1)).value(), first);
}

TEST_F(Fits, AreAlsoFilesThatHoldAllOfThem) {
  FitWriter fits = FitWriter::open(real_files(), clock, folder.path()).value();
  ASSERT_TRUE(fits.record(fit_with_loss(1.25)));
  const Path file =
      Layout{folder.path()}.fits() / real_files().list(Layout{folder.path()}.fits()).value().at(0);

  const StoredFit stored = read_fit_record(real_files(), file).value();

  EXPECT_EQ(stored.fit.document["objective"], 1.25);
  EXPECT_EQ(stored.fit.law, "chinchilla");
  EXPECT_EQ(stored.created, clock.now);
}

}  // namespace
}  // namespace ration::store
