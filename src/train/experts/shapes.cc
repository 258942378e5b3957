#include "train/experts/shapes.h"

#include <fmt/format.h>

#include "run/experts.h"

namespace ration::train::experts {
namespace {

class Shapes {
 public:
  explicit Shapes(const run::RunSpec& spec) : spec_(spec) {}

  void affine(const std::string& name, std::int64_t out, std::int64_t in, Init init) {
    all.push_back({name + ".w", {out, in}, init, true});
    if (spec_.bias) all.push_back({name + ".b", {out}, Init::zeros});
  }

  void factors(const std::string& name, std::int64_t out, std::int64_t in, Init init) {
    const std::int64_t rank = run::expert_width(spec_);
    all.push_back({name + ".in.w", {rank, in}, Init::normal, true});
    all.push_back({name + ".out.w", {out, rank}, init, true});
  }

  void expert(const std::string& name) {
    const std::int64_t d = spec_.width, inner = run::expert_width(spec_), f = spec_.mlp_width;
    const bool gated = spec_.mlp == "swiglu";
    if (spec_.expert_kind == "ffn") {
      if (gated) affine(name + "gate", inner, d, Init::normal);
      affine(name + "up", inner, d, Init::normal);
      affine(name + "down", d, inner, Init::residual);
    } else if (spec_.expert_kind == "adapter") {
      affine(name + "adapter.down", inner, d, Init::normal);
      affine(name + "adapter.up", d, inner, Init::residual);
    } else {
      if (gated) factors(name + "gate", f, d, Init::normal);
      factors(name + "up", f, d, Init::normal);
      factors(name + "down", d, f, Init::residual);
    }
  }

  // The first four in the order in which a unit's state goes through them.
  void router(const std::string& name) {
    const std::size_t first = all.size();
    const std::int64_t d = spec_.width;
    if (spec_.router == "skills") {
      all.push_back({name + "skills.w", {run::sources_of(spec_), spec_.experts}, Init::normal});
    } else {
      all.push_back({name + "ln.g", {d}, Init::ones});
      all.push_back({name + "ln.b", {d}, Init::zeros});
      all.push_back({name + "columns.w", {run::router_columns(spec_), d}, Init::normal});
      all.push_back({name + "columns.g", {d}, Init::hundredths});
    }
    if (spec_.router == "reinforce") {
      const std::int64_t inner = run::baseline_width(spec_);
      all.push_back({name + "baseline.in.w", {inner, d}, Init::normal});
      all.push_back({name + "baseline.in.b", {inner}, Init::zeros});
      all.push_back({name + "baseline.out.w", {1, inner}, Init::normal});
      all.push_back({name + "baseline.out.b", {1}, Init::zeros});
    }
    for (std::size_t i = first; i < all.size(); ++i) all[i].rate = spec_.router_lr;
  }

  std::vector<TensorShape> all;

 private:
  const run::RunSpec& spec_;
};

}  // namespace

std::vector<TensorShape> tensor_shapes(const run::RunSpec& spec, std::int64_t layer) {
  Shapes shapes(spec);
  for (std::int64_t expert = 0; expert < run::stored_experts(spec); ++expert)
    shapes.expert(fmt::format("h{}.experts.{}.", layer, expert));
  if (run::has_router(spec)) shapes.router(fmt::format("h{}.router.", layer));
  return std::move(shapes.all);
}

}  // namespace ration::train::experts
