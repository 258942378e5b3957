#include "train/experts/shapes.h"

#include <fmt/format.h>

#include "run/experts.h"

namespace ration::train::experts {
namespace {

class Shapes {
 public:
  explicit Shapes(const run::RunSpec& spec) : spec_(spec) {}

  void experts(const std::string& layer) {
    const std::int64_t d = spec_.width, inner = run::expert_width(spec_), f = spec_.mlp_width;
    layer_ = layer;
    if (spec_.expert_kind == "adapter") {
      affine("adapter.down", inner, d, Init::normal);
      affine("adapter.up", d, inner, Init::residual);
      return;
    }
    const bool whole = spec_.expert_kind == "ffn";
    const auto map = [&](const std::string& name, std::int64_t out, std::int64_t in, Init init) {
      whole ? affine(name, out, in, init) : factors(name, out, in, init);
    };
    const std::int64_t hidden = whole ? inner : f;
    if (spec_.mlp == "swiglu") map("gate", hidden, d, Init::normal);
    map("up", hidden, d, Init::normal);
    map("down", d, hidden, Init::residual);
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
  // One tensor of every expert.
  void of_all(const std::string& name,
              const std::vector<std::int64_t>& shape,
              Init init,
              bool hidden = false) {
    for (std::int64_t expert = 0; expert < run::stored_experts(spec_); ++expert)
      all.push_back({fmt::format("{}experts.{}.{}", layer_, expert, name), shape, init, hidden});
  }

  void affine(const std::string& name, std::int64_t out, std::int64_t in, Init init) {
    of_all(name + ".w", {out, in}, init, true);
    if (spec_.bias) of_all(name + ".b", {out}, Init::zeros);
  }

  void factors(const std::string& name, std::int64_t out, std::int64_t in, Init init) {
    const std::int64_t rank = run::expert_width(spec_);
    of_all(name + ".in.w", {rank, in}, Init::normal, true);
    of_all(name + ".out.w", {out, rank}, init, true);
  }

  const run::RunSpec& spec_;
  std::string layer_;
};

}  // namespace

std::vector<TensorShape> tensor_shapes(const run::RunSpec& spec, std::int64_t layer) {
  Shapes shapes(spec);
  shapes.experts(fmt::format("h{}.", layer));
  if (run::has_router(spec)) shapes.router(fmt::format("h{}.router.", layer));
  return std::move(shapes.all);
}

}  // namespace ration::train::experts
