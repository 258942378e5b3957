#pragma once

// What a merge is: a method, the models it joins and its hyper-parameters, without any bytes.
// docs/merging.md gives the formulas; theta_0 is the base, theta_i a model, tau_i = theta_i -
// theta_0.
//
//   Result<Recipe> recipe = parse_recipe(json, "points.json");
//   {"method":"ties","base":"base","models":["prose","code"],"k":0.2,"lambda":1}

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::merge {

struct Recipe {
  // average          mean of theta_i ("uniform_soup" is another word for it)
  // weighted         sum w_i theta_i / sum w_i
  // linear           sum w_i theta_i + (1 - sum w_i) theta_0, or sum w_i theta_i without a base; a
  //                  single weight of 1 beside zeros gives that model bit for bit
  // ema              weighted with w_j = decay^(n - j); models from oldest to newest
  // task_arithmetic  theta_0 + lambda sum w_i tau_i
  // fisher           sum w_i F_i theta_i / sum w_i F_i, F_i diagonal Fisher information
  // regmean          linear layers solved by their Gram matrices, the rest averaged
  // ties             trim, elect sign, disjoint mean
  // dare_linear      task_arithmetic of randomly dropped and rescaled tau_i
  // dare_ties        the same with TIES's election instead of the sum
  // slerp            great-circle interpolation of two models, tensor by tensor
  // median           of theta_i, each coordinate by itself; of an even number the mean of two
  // trimmed_mean     the same, the mean without the `cut` highest and lowest
  std::string method = "average";
  std::string base;                 // name of theta_0; empty = none
  std::vector<std::string> models;  // names, in the order of the sums
  std::vector<double> weights;      // w_i, finite, one a model; empty = all 1

  // task_arithmetic, dare_linear: divide by sum w_i (default no). ties, dare_ties: divide by the
  // weights of the agreeing models (default yes).
  std::optional<bool> normalize;
  double lambda = 1;  // scale of the merged tau, finite

  double k = 0.2;                      // ties: share of entries kept, 0 … 1
  std::string scope = "global";        // ties: trim over all tensors together, or each "tensor"
  std::string zero_sign = "majority";  // ties: sign of a sum that is exactly 0: majority | plus
  std::string consensus = "mass";      // ties: sign of the sum, or of the "count" of signs
  std::string aggregate = "mean";      // ties: mean | sum | max of the agreeing entries
  bool trim = true;                    // ties: the three steps, each can be left out
  bool elect = true;
  bool disjoint = true;

  double density = 0.5;             // dare: probability that an entry stays, above 0 … 1
  std::string rescale = "inverse";  // dare: by 1/density, to the "l1" norm of the tensor, or "none"
  std::uint64_t seed = 0;           // dare

  double t = 0.5;              // slerp: 0 is the first model, 1 the second
  std::string on = "weights";  // slerp: of the weights, or of "tau"
  double decay = 0.9;          // ema: above 0 … 1
  double cut = 0.2;            // trimmed_mean: share left out at each end, rounded down; below 1/2
  double floor = 1e-6;         // fisher: times the mean of F over the tensor and models; 0 or above
  bool norm = false;           // fisher: divide each F_i by its norm over all tensors
  double alpha = 0.9;          // regmean: factor of the Gram matrices' off-diagonal, 0 … 1

  // "ties-ref" or "mergekit": those programs' choices wherever they differ (docs/merging.md).
  // "ties-ref" reads k above 1 as a percentage.
  std::string compat;
};

// All methods, in the order above.
const std::vector<std::string>& methods();
// The members beside method, base and models that a method reads.
std::vector<std::string> members_of(const std::string& method);
bool needs_base(const Recipe& recipe);
bool needs_statistics(const Recipe& recipe);  // Fisher information or Gram matrices

// Everything that is wrong with it; ErrorKind::usage.
std::vector<Error> check(const Recipe& recipe);

// An object with the members above. Unknown members, members that the method does not read and
// values that check() refuses are ErrorKind::usage, all of them told; `where` stands in front.
Result<Recipe> parse_recipe(const Json& json, const std::string& where);
// The method, the names, and every member that the method reads; parse_recipe reads it back.
Json to_json(const Recipe& recipe);

}  // namespace ration::merge
