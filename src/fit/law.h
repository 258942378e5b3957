#pragma once

// A scaling law: a formula that maps parameters N, training tokens D and unique tokens U to a loss
// in nats a token. Laws work on ln L and on coordinates in which the fit is well scaled (ln A
// rather than A). Adding a law is one file in laws/, one line in law.cc and its test.
//
//   const Law* law = find_law("chinchilla");
//   Points points;
//   points.add(Params(1e9), Tokens(20e9), Tokens(20e9));
//   double log_loss = 0;
//   law->evaluate(coordinates, points, {&log_loss, 1}, {});
//
// Symbols: N parameters, D tokens seen (repeats count), U unique tokens, R_D = D/U - 1 repeats, L
// loss; a = ln A, b = ln B, e = ln E. A law is stateless and may be used from several threads at
// once.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace ration::fit {

// Where a law is evaluated, one entry a point; stored by column, because laws run over all points
// at once.
struct Points {
  std::vector<double> log_params;  // ln N
  std::vector<double> log_tokens;  // ln D
  std::vector<double> log_unique;  // ln U, at most ln D
  std::vector<double> repeats;     // R_D = D/U - 1, at least 0

  std::size_t size() const { return log_params.size(); }
  void resize(std::size_t size);
  // Unique tokens beyond the tokens seen are never read: U is capped by D.
  void set(std::size_t index, double log_n, double log_d, double log_u);
  void add(Params params, Tokens tokens, Tokens unique);
};

enum class Scale {
  linear,
  log
};  // how a coordinate relates to the value: itself, or its logarithm

// One free parameter. Bounds are on the coordinate and finite; an estimate that ends on one says
// so.
struct Parameter {
  std::string_view name;  // as in fit files: "A", "alpha", "rd_star"
  Scale scale = Scale::log;
  double lower = 0;
  double upper = 0;
  std::string_view meaning;  // one line with its unit
  // What it does in the law. An exponent needs runs that differ in what it is the exponent of. A
  // decay constant counts repeats (of data or of parameters): an estimate far beyond the largest
  // repeat of the data cannot be told from no decay. A penalty exists where tokens repeat.
  enum class Role {
    term,
    floor,
    params_exponent,
    tokens_exponent,
    shared_exponent,   // of parameters and of tokens
    compute_exponent,  // of their product
    data_decay,
    params_decay,
    penalty
  } role = Role::term;
  bool is_exponent() const;

  double value(double coordinate) const;
  double coordinate(double value) const;
};

using Coordinates = std::vector<double>;  // one number a parameter, in the law's order

// L = E + A N^-alpha + B D^-beta: what many laws become while nothing repeats.
struct BaseTerms {
  double log_a = 0, log_b = 0, log_e = 0, alpha = 0, beta = 0;

  // ln G of N_opt = G (C/6)^(beta/(alpha+beta)): the compute-optimal allocation ("Training
  // Compute-Optimal Large Language Models", 2022).
  double log_g() const;
  // ln N that minimises the loss under 6 N D = C, given ln(C/6).
  double optimal_log_params(double log_budget_over_6) const;
  // ln of the parameters for which `log_unique` tokens, each seen once, are compute-optimal: U_N
  // before its cap.
  double log_params_for_tokens(double log_unique) const;
};

class Law {
 public:
  virtual ~Law() = default;

  virtual std::string_view name() const = 0;
  virtual std::string_view formula() const = 0;
  virtual std::string_view source() const = 0;  // title and year
  virtual std::span<const Parameter> parameters() const = 0;
  virtual bool describes_repetition() const = 0;

  // ln L at every point; and, unless `jacobian` is empty, d ln L_i / d x_j at [j * points.size() +
  // i]. Any finite coordinates are allowed; the result may then be infinite or NaN, which a solver
  // takes as a refusal.
  virtual void evaluate(std::span<const double> x,
                        const Points& points,
                        std::span<double> log_loss,
                        std::span<double> jacobian) const = 0;

  // Whether the law weighs parameters against tokens, so that a budget has a best allocation.
  virtual bool allocates() const { return true; }

  // ln of the parameters that the law counts as unrepeated at a point (N itself for laws without
  // parameter decay).
  virtual double log_unrepeated_params(std::span<const double> x, double log_n, double log_u) const;

  // ln of the fresh tokens that D tokens from U unique ones are worth by the law's data decay; ln D
  // for laws without one. U may exceed D.
  virtual double log_effective_tokens(std::span<const double> x, double log_d, double log_u) const;

  // Points to descend from, spread over the basins that the law is known to have for such data.
  virtual std::vector<Coordinates> starts(const Points& points,
                                          std::span<const double> log_loss) const = 0;

  // Where a law may be before any run is known, and designs start: constants published for other
  // runs than those of "Scaling Data-Constrained Language Models", by the parameters' names (law.cc
  // has sources); decay constants, of which that study is the only source, are 10, a guess.
  Coordinates typical() const;

  // The grid of starts of the law's source, where one is known; else nothing. Coordinates may be
  // infinite, where the source starts at 0: such starts fail and are counted.
  virtual std::vector<Coordinates> published_starts() const { return {}; }

  std::size_t size() const { return parameters().size(); }
};

// All laws, plain ones first.
std::span<const Law* const> all_laws();
// Nullptr when there is none of that name.
const Law* find_law(std::string_view name);
std::vector<std::string> law_names();

}  // namespace ration::fit
