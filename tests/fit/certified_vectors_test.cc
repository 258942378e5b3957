// Least squares against certified answers: tests/vectors/nist_strd, 27 problems with two starts
// each. They are no scaling laws: their formulas stand here as laws whose points hold x.

#include <ceres/jet.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <sstream>

#include "base/files.h"
#include "fit/search.h"
#include "fit/solver.h"
#include "support/vectors.h"

namespace ration::fit {
namespace {

constexpr int kMost = 9;
using Jet = ceres::Jet<double, kMost>;
using Model = std::function<Jet(const Jet* b, double x, double x2)>;

const std::map<std::string, Model>& models() {
  constexpr double kPi = 3.14159265358979323846;
  static const auto lanczos = [](const Jet* b, double x, double) {
    return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x);
  };
  static const auto gauss = [](const Jet* b, double x, double) {
    const Jet first = (x - b[3]) / b[4], second = (x - b[6]) / b[7];
    return b[0] * exp(-b[1] * x) + b[2] * exp(-first * first) + b[5] * exp(-second * second);
  };
  static const auto chwirut = [](const Jet* b, double x, double) {
    return exp(-b[0] * x) / (b[1] + b[2] * x);
  };
  static const auto cubic_ratio = [](const Jet* b, double x, double) {
    return (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1.0 + x * (b[4] + x * (b[5] + x * b[6])));
  };
  static const auto saturation = [](const Jet* b, double x, double) {
    return b[0] * (1.0 - exp(-b[1] * x));
  };
  static const std::map<std::string, Model> all = {
      {"Bennett5",
       [](const Jet* b, double x, double) { return b[0] * pow(b[1] + x, -1.0 / b[2]); }},
      {"BoxBOD", saturation},
      {"Chwirut1", chwirut},
      {"Chwirut2", chwirut},
      {"DanWood", [](const Jet* b, double x, double) { return b[0] * pow(Jet(x), b[1]); }},
      {"ENSO",
       [=](const Jet* b, double x, double) {
         const double year = 2 * kPi * x / 12;
         const Jet slow = 2 * kPi * x / b[3], fast = 2 * kPi * x / b[6];
         return b[0] + b[1] * std::cos(year) + b[2] * std::sin(year) + b[4] * cos(slow) +
                b[5] * sin(slow) + b[7] * cos(fast) + b[8] * sin(fast);
       }},
      {"Eckerle4",
       [](const Jet* b, double x, double) {
         const Jet z = (x - b[2]) / b[1];
         return b[0] / b[1] * exp(-0.5 * z * z);
       }},
      {"Gauss1", gauss},
      {"Gauss2", gauss},
      {"Gauss3", gauss},
      {"Hahn1", cubic_ratio},
      {"Kirby2",
       [](const Jet* b, double x, double) {
         return (b[0] + x * (b[1] + x * b[2])) / (1.0 + x * (b[3] + x * b[4]));
       }},
      {"Lanczos1", lanczos},
      {"Lanczos2", lanczos},
      {"Lanczos3", lanczos},
      {"MGH09",
       [](const Jet* b, double x, double) {
         return b[0] * (x * x + b[1] * x) / (x * x + b[2] * x + b[3]);
       }},
      {"MGH10", [](const Jet* b, double x, double) { return b[0] * exp(b[1] / (x + b[2])); }},
      {"MGH17",
       [](const Jet* b, double x, double) {
         return b[0] + b[1] * exp(-b[3] * x) + b[2] * exp(-b[4] * x);
       }},
      {"Misra1a", saturation},
      {"Misra1b",
       [](const Jet* b, double x, double) {
         const Jet base = 1.0 + b[1] * x / 2.0;
         return b[0] * (1.0 - 1.0 / (base * base));
       }},
      {"Misra1c",
       [](const Jet* b, double x, double) {
         return b[0] * (1.0 - 1.0 / sqrt(1.0 + 2.0 * b[1] * x));
       }},
      {"Misra1d",
       [](const Jet* b, double x, double) { return b[0] * b[1] * x / (1.0 + b[1] * x); }},
      {"Nelson",
       [](const Jet* b, double x, double x2) { return b[0] - b[1] * x * exp(-b[2] * x2); }},
      {"Rat42", [](const Jet* b, double x, double) { return b[0] / (1.0 + exp(b[1] - b[2] * x)); }},
      {"Rat43",
       [](const Jet* b, double x, double) {
         return b[0] / pow(1.0 + exp(b[1] - b[2] * x), 1.0 / b[3]);
       }},
      {"Roszman1",
       [=](const Jet* b, double x, double) {
         return b[0] - b[1] * x - atan2(b[2], x - b[3]) / kPi;
       }},
      {"Thurber", cubic_ratio},
  };
  return all;
}

// A formula as a law: its coordinates are the parameters in units of the start, or the logarithms
// of those, so that all are of order 1, as the solver asks of a law.
class Certified final : public Law {
 public:
  Certified(Model model, std::vector<double> units, Scale scale)
      : model_(std::move(model)), units_(std::move(units)), scale_(scale) {
    for (std::size_t j = 0; j < units_.size(); ++j)
      parameters_.push_back({"b", scale, -1e12, 1e12, "a parameter"});
  }
  std::string_view name() const override { return "certified"; }
  std::string_view formula() const override { return ""; }
  std::string_view source() const override { return "NIST StRD"; }
  std::span<const Parameter> parameters() const override { return parameters_; }
  bool describes_repetition() const override { return false; }
  std::vector<Coordinates> starts(const Points&, std::span<const double>) const override {
    return {};
  }
  void evaluate(std::span<const double> x,
                const Points& points,
                std::span<double> value,
                std::span<double> jacobian) const override {
    std::array<Jet, kMost> b;
    for (std::size_t j = 0; j < x.size(); ++j) {
      const Jet coordinate(x[j], static_cast<int>(j));
      b[j] = units_[j] * (scale_ == Scale::log ? exp(coordinate) : coordinate);
    }
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Jet y = model_(b.data(), points.log_params[i], points.log_tokens[i]);
      value[i] = y.a;
      for (std::size_t j = 0; j < x.size() && !jacobian.empty(); ++j)
        jacobian[j * points.size() + i] = y.v[static_cast<int>(j)];
    }
  }

 private:
  Model model_;
  std::vector<double> units_;
  Scale scale_;
  std::vector<Parameter> parameters_;
};

std::vector<std::vector<std::string>> table(const std::string& file) {
  const Result<std::string> text =
      real_files().read(test::vectors_folder() / "nist_strd" / (file + ".tsv"));
  if (!text) throw std::runtime_error(text.error().describe());
  std::istringstream lines(*text);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, '\t');) rows.back().push_back(cell);
  }
  rows.erase(rows.begin());
  return rows;
}

struct Exercise {
  std::array<std::vector<double>, 2> starts;
  std::vector<double> certified;
};

std::map<std::string, Exercise> exercises() {
  std::map<std::string, Exercise> all;
  for (const auto& row : table("problems")) {
    Exercise& e = all[row[0]];
    e.starts[0].push_back(std::stod(row[6]));
    e.starts[1].push_back(std::stod(row[7]));
    e.certified.push_back(std::stod(row[8]));
  }
  return all;
}

// Digits that agree, at most 11: the least over all parameters.
double digits(const std::vector<double>& found, const std::vector<double>& certified) {
  double least = 11;
  for (std::size_t j = 0; j < found.size(); ++j)
    least =
        std::min(least, -std::log10(std::abs(found[j] - certified[j]) / std::abs(certified[j])));
  return least;
}

TEST(CertifiedProblems, AreSolvedFromBothStartsToSixDigits) {
  int solved = 0;
  const auto problems = exercises();
  ASSERT_EQ(problems.size(), 27U);
  for (const auto& [name, exercise] : problems) {
    Points points;
    std::vector<double> y;
    for (const auto& row : table(name)) {
      points.resize(points.size() + 1);
      points.log_params.back() = std::stod(row[1]);
      points.log_tokens.back() = row.size() > 2 ? std::stod(row[2]) : 0;
      y.push_back(name == "Nelson" ? std::log(std::stod(row[0])) : std::stod(row[0]));
    }
    const std::vector<double> weights(y.size(), 1.0);
    for (const std::vector<double>& start : exercise.starts) {
      Minimum best;
      std::vector<double> found;
      for (const Scale scale : {Scale::linear, Scale::log}) {
        const Certified law(models().at(name), start, scale);
        const Problem problem = make_problem(law, points, y, weights, HUGE_VAL);
        const Coordinates at_start(start.size(), scale == Scale::log ? 0.0 : 1.0);
        Minimum minimum =
            minimise(problem, at_start, {.descent_iterations = 2000, .newton_iterations = 2000});
        if (!(minimum.objective < best.objective)) continue;
        best = std::move(minimum);
        found = start;
        for (std::size_t j = 0; j < start.size(); ++j)
          found[j] *= law.parameters()[j].value(best.x[j]);
      }
      const double agreed = digits(found, exercise.certified);
      EXPECT_GE(agreed, 6) << name << " from " << start[0] << ", …: " << describe(best.stop);
      solved += agreed >= 6 ? 1 : 0;
    }
  }
  EXPECT_EQ(solved, 54);
}

}  // namespace
}  // namespace ration::fit
