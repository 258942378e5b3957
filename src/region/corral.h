#pragma once

// Vectors of which the affine hull's least point is kept known. Internal to the room.

#include <Eigen/Core>
#include <optional>
#include <vector>

namespace ration::region {

// Of vectors v_i, each known by its length and all by their cosines: a few in use, with the
// Cholesky factor of A = K + u u' over them, K being the cosines and u_i = least length / length of
// i. u u' keeps A regular where 0 lies in the affine hull. A vector joins or leaves in O(k^2).
class Corral {
 public:
  // Of the cosines; lengths above 0.
  Corral(const Eigen::MatrixXd& cosines, const Eigen::VectorXd& lengths);

  const std::vector<Eigen::Index>& used() const { return used_; }
  // False, and nothing joins, where the vector depends on those in use.
  bool join(Eigen::Index vector);
  // The one at this place of used().
  void leave(std::size_t place);
  // a_i = w_i length_i / the least length of the affine hull's least point, beside used(); nothing
  // where rounding leaves none.
  std::optional<Eigen::VectorXd> affine_least() const;
  void clear() { used_.clear(); }

 private:
  const Eigen::MatrixXd& cosines_;
  Eigen::VectorXd u_;
  Eigen::MatrixXd factor_;  // its leading block is the factor, lower
  std::vector<Eigen::Index> used_;
};

}  // namespace ration::region
