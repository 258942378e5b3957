#include "region/controls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/unsynced_files.h"
#include "merge/models.h"
#include "merge/numbers.h"
#include "region/gram.h"

namespace ration {
namespace {

using region::Control;
using test::GivenTensor;
using test::Models;
using test::recipe_of;

// Whole numbers in eighths: sums and differences of f32 are exact.
std::vector<double> eighths(std::uint64_t seed, std::size_t count) {
  Stream stream(seed, StreamId::init);
  std::vector<double> numbers(count);
  for (double& number : numbers) number = static_cast<double>(stream.below(4000)) / 8 - 250;
  return numbers;
}

class Controls : public testing::Test {
 protected:
  Controls() {
    for (const std::string name : {"base", "x", "y"}) {
      const auto seed = static_cast<std::uint64_t>(name.front());
      models_.add(name,
                  {{"h0.attn.o.w", {100, 80}, eighths(seed, 8000)},
                   {"h0.ln1.g", {50}, eighths(name == "base" ? seed : seed + 1, 50)},
                   {"frozen", {2}, {-0.0, 3}}});
    }
  }

  Path path(const std::string& name) { return models_.path(name); }
  void write(Control control,
             std::vector<std::string> of,
             const std::string& to,
             std::uint64_t seed = 1,
             int threads = 1) {
    const Result<void> done =
        region::write_control(unsynced_files(),
                              control,
                              models_.inputs(recipe_of("average", of, "base")),
                              seed,
                              path(to),
                              {.threads = threads});
    ASSERT_TRUE(done) << done.error().describe();
  }
  // A tensor less the base's.
  std::vector<double> tau(const Path& file, const std::string& tensor) {
    const auto base = checkpoint::Checkpoint::open(real_files(), path("base")).value();
    const auto model = checkpoint::Checkpoint::open(real_files(), file).value();
    const checkpoint::TensorInfo& info = *model.find(tensor);
    std::vector<double> from((info.end - info.begin) / 4), to(from.size());
    merge::widen(info.dtype, base.bytes(*base.find(tensor)).data(), 0, from);
    merge::widen(info.dtype, model.bytes(info).data(), 0, to);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] -= from[i];
    return to;
  }
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  static double norm(const std::vector<double>& v) { return std::sqrt(dot(v, v)); }
  static double cosine(const std::vector<double>& a, const std::vector<double>& b) {
    return dot(a, b) / (norm(a) * norm(b));
  }

  Models models_;
};

TEST_F(Controls, RandomHasTheMeanLengthOfEachTensor) {
  write(Control::random, {"x", "y"}, "control");

  for (const std::string tensor : {"h0.attn.o.w", "h0.ln1.g"}) {
    const double mean = (norm(tau(path("x"), tensor)) + norm(tau(path("y"), tensor))) / 2;
    // Rounding to f32 at 250 is 1e-5 a number.
    EXPECT_NEAR(norm(tau(path("control"), tensor)), mean, 1e-6 * mean) << tensor;
  }
}

TEST_F(Controls, RandomIsGaussianAndAwayFromTheModels) {
  write(Control::random, {"x", "y"}, "control");

  const std::vector<double> direction = tau(path("control"), "h0.attn.o.w");
  const double deviation = norm(direction) / std::sqrt(8000.0);
  double within = 0;
  for (const double number : direction) within += std::fabs(number) < deviation ? 1 : 0;
  EXPECT_NEAR(within / 8000, 0.6827, 5 * std::sqrt(0.6827 * 0.3173 / 8000));
  EXPECT_LT(std::fabs(cosine(direction, tau(path("x"), "h0.attn.o.w"))), 5 / std::sqrt(8000.0));
}

TEST_F(Controls, ShuffledKeepsTheEntriesAndLosesTheDirection) {
  write(Control::shuffled, {"x"}, "control");

  for (const std::string tensor : {"h0.attn.o.w", "h0.ln1.g"}) {
    const std::vector<double> before = tau(path("x"), tensor), after = tau(path("control"), tensor);
    EXPECT_LT(std::fabs(cosine(before, after)), 5 / std::sqrt(static_cast<double>(before.size())));
    std::vector<double> a = before, b = after;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    EXPECT_EQ(a, b) << tensor;
  }
}

TEST_F(Controls, LeaveWhatNoModelChangedBitForBit) {
  write(Control::random, {"x", "y"}, "control");

  const auto base = checkpoint::Checkpoint::open(real_files(), path("base")).value();
  const auto control = checkpoint::Checkpoint::open(real_files(), path("control")).value();
  const auto same = base.bytes(*base.find("frozen"));
  const auto bytes = control.bytes(*control.find("frozen"));
  EXPECT_TRUE(std::equal(same.begin(), same.end(), bytes.begin(), bytes.end()));
}

TEST_F(Controls, HaveTheSameBytesForOneSeedWhateverTheThreads) {
  for (const Control control : {Control::random, Control::shuffled}) {
    write(control, {"x"}, "one", 1, 1);
    write(control, {"x"}, "again", 1, 7);
    write(control, {"x"}, "other", 2, 1);

    const std::string one = real_files().read(path("one")).value();
    EXPECT_EQ(real_files().read(path("again")).value(), one);
    EXPECT_NE(real_files().read(path("other")).value(), one);
  }
}

TEST_F(Controls, KeepTwoNamesOfOneTensorTogether) {
  Models models;
  const std::vector<double> base = eighths(1, 100), x = eighths(2, 100);
  models.add("base", {{"lm_head.weight", {10, 10}, base}, {"wte.weight", {10, 10}, base}});
  models.add("x", {{"lm_head.weight", {10, 10}, x}, {"wte.weight", {10, 10}, x}});

  for (const Control control : {Control::random, Control::shuffled}) {
    ASSERT_TRUE(region::write_control(unsynced_files(),
                                      control,
                                      models.inputs(recipe_of("average", {"x"}, "base")),
                                      1,
                                      models.path("control"),
                                      {}));

    const auto made = checkpoint::Checkpoint::open(real_files(), models.path("control")).value();
    const auto head = made.bytes(*made.find("lm_head.weight"));
    const auto embedding = made.bytes(*made.find("wte.weight"));
    EXPECT_TRUE(std::equal(head.begin(), head.end(), embedding.begin(), embedding.end()));
  }
}

TEST_F(Controls, WriteNothingForNumbersThatAreNone) {
  models_.add("bad",
              {{"h0.attn.o.w", {100, 80}, std::vector<double>(8000, std::nan(""))},
               {"h0.ln1.g", {50}, eighths(1, 50)},
               {"frozen", {2}, {-0.0, 3}}});

  const Result<void> done =
      region::write_control(unsynced_files(),
                            Control::random,
                            models_.inputs(recipe_of("average", {"bad"}, "base")),
                            1,
                            path("control"),
                            {});

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::input);
  EXPECT_FALSE(real_files().exists(path("control")));
}

}  // namespace
}  // namespace ration
