#include "train/experts/layer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "run/experts.h"

namespace ration::train::experts {

Layer::Layer(const run::RunSpec& spec, const Parameters& parameters, std::int64_t layer)
    : spec_(spec),
      name_(fmt::format("h{}.", layer)),
      experts_(run::stored_experts(spec)),
      router_(spec, parameters, layer),
      gated_(spec.mlp == "swiglu"),
      adapter_(spec.expert_kind == "adapter"),
      lowrank_(spec.expert_kind == "lowrank") {
  if (adapter_) {
    maps_ = {map(parameters, "adapter.down", false), map(parameters, "adapter.up", true)};
    gated_ = false;
    return;
  }
  std::vector<std::string> names = {"up"};
  if (gated_) names.push_back("gate");
  names.push_back("down");
  for (const std::string& name : names) {
    const bool last = name == "down";
    if (!lowrank_) {
      maps_.push_back(map(parameters, name, last));
      continue;
    }
    maps_.push_back(map(parameters, name + ".in", last));
    maps_.push_back(map(parameters, name + ".out", last));
    const std::string shared = name_ + "mlp." + name;
    shared_.push_back(parameters.at(shared + ".w").value);
    shared_.push_back(parameters.has(shared + ".b") ? parameters.at(shared + ".b").value
                                                    : at::Tensor());
  }
}

// The tensors of all experts lie one behind the other (shapes.h), each filled up to whole vectors
// by numbers that stay zero. A leaf of its own over their buffer: what is derived for it arrives in
// the gradients of the single tensors.
Layer::Stack Layer::stack(const Parameters& parameters, const std::string& name, bool last) const {
  const auto entry = [&](std::int64_t expert) -> const Parameters::Entry& {
    return parameters.at(fmt::format("{}experts.{}.{}", name_, expert, name));
  };
  const Parameters::Entry& first = entry(0);
  const std::int64_t apart = experts_ > 1 ? entry(1).offset - first.offset : first.value.numel();
  const auto rows_of = [&](const at::Tensor& flat) {
    return flat.narrow(0, first.offset, experts_ * apart).view({experts_, apart});
  };
  Stack stack{.rows = rows_of(parameters.values()), .shape = first.shape.shape, .last = last};
  stack.numbers = first.value.numel();
  stack.rows.set_requires_grad(true);
  stack.rows.mutable_grad() = rows_of(parameters.grads());
  return stack;
}

Layer::Map Layer::map(const Parameters& parameters, const std::string& name, bool last) const {
  Map map{.weight = stack(parameters, name + ".w", last), .bias = std::nullopt};
  if (parameters.has(fmt::format("{}experts.0.{}.b", name_, name)))
    map.bias = stack(parameters, name + ".b", last);
  return map;
}

// [shape] for all units, or [N,shape].
at::Tensor Layer::picked(const Stack& stack, const Pick& pick) const {
  const auto without_filling = [&](const at::Tensor& rows) {
    return rows.size(-1) == stack.numbers ? rows : rows.narrow(-1, 0, stack.numbers);
  };
  if (experts_ == 1) return stack.rows.view(stack.shape);
  if (pick.expert >= 0) return without_filling(stack.rows.select(0, pick.expert)).view(stack.shape);
  if (!pick.weights.defined()) return without_filling(stack.rows.mean(0)).view(stack.shape);
  const at::Tensor& weights = stack.last && pick.second.defined() ? pick.second : pick.weights;
  std::vector<std::int64_t> shape = {weights.size(0)};
  shape.insert(shape.end(), stack.shape.begin(), stack.shape.end());
  return without_filling(at::mm(weights, stack.rows)).view(shape);
}

// x [N,positions,in], or of any shape where all units share the weights.
at::Tensor Layer::affine(const at::Tensor& x, const Map& map, const Pick& pick) const {
  const at::Tensor weight = picked(map.weight, pick);
  const at::Tensor bias = map.bias ? picked(*map.bias, pick) : at::Tensor();
  if (weight.dim() == 2) return at::linear(x, weight, bias);
  const at::Tensor turned = weight.transpose(1, 2);
  return bias.defined() ? at::baddbmm(bias.unsqueeze(1), x, turned) : at::bmm(x, turned);
}

// The shared map number `first` / 2 and what factors add to it.
at::Tensor Layer::through_factors(const at::Tensor& x, std::size_t first, const Pick& pick) const {
  return at::linear(x, shared_[first], shared_[first + 1]) +
         affine(affine(x, maps_[first], pick), maps_[first + 1], pick);
}

at::Tensor Layer::activated(const at::Tensor& up, const at::Tensor& gate) const {
  if (gated_) return at::silu(gate) * up;
  if (spec_.mlp == "relu2") return at::square(at::relu(up));
  return at::gelu(up, spec_.mlp == "gelu_tanh" ? "tanh" : "none");
}

// f(x; theta) with the weights that `pick` says.
at::Tensor Layer::expert(const at::Tensor& x, const Pick& pick) const {
  if (adapter_) return affine(at::silu(affine(x, maps_[0], pick)), maps_[1], pick);
  const auto map = [&](const at::Tensor& input, std::size_t number) {
    return lowrank_ ? through_factors(input, 2 * number, pick) : affine(input, maps_[number], pick);
  };
  const at::Tensor up = map(x, 0);
  return map(activated(up, gated_ ? map(x, 1) : at::Tensor()), gated_ ? 2 : 1);
}

// One merged expert a unit; one for all units that nothing routes.
at::Tensor Layer::merged(const at::Tensor& x, const Places& places, const Routing& routing) const {
  std::vector<at::Tensor> parts;
  std::int64_t unit = 0;
  for (const Band& band : places.bands) {
    const at::Tensor its = x.narrow(1, band.first, band.positions());
    if (!band.routed || !routing.weights.defined()) {
      parts.push_back(expert(its, {}));
      continue;
    }
    const std::int64_t count = places.sequences * band.units;
    const auto of_band = [&](const at::Tensor& all) {
      return all.defined() ? all.narrow(1, unit, band.units).reshape({count, -1}) : at::Tensor();
    };
    const at::Tensor units = its.reshape({count, band.length, spec_.width});
    at::Tensor y =
        expert(units, {.weights = of_band(routing.weights), .second = of_band(routing.second)});
    if (routing.scale.defined()) y = y * of_band(routing.scale).unsqueeze(-1);
    parts.push_back(y.reshape(its.sizes()));
    unit += band.units;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

// All experts compute everything, and their outputs are weighed.
at::Tensor Layer::mixed(const at::Tensor& x, const Places& places, const Routing& routing) const {
  const double alike = 1.0 / static_cast<double>(experts_);
  std::vector<at::Tensor> parts;
  std::int64_t unit = 0;
  for (const Band& band : places.bands) {
    if (!band.routed || !routing.weights.defined()) {
      parts.push_back(at::full({places.sequences, band.positions(), experts_}, alike, x.options()));
      continue;
    }
    parts.push_back(
        routing.weights.narrow(1, unit, band.units).repeat_interleave(band.length, /*dim=*/1));
    unit += band.units;
  }
  const at::Tensor weights = at::cat(parts, 1);
  at::Tensor y;
  for (std::int64_t e = 0; e < experts_; ++e) {
    const at::Tensor one = weights.narrow(-1, e, 1) * expert(x, {.expert = e});
    y = y.defined() ? y + one : one;
  }
  return y;
}

Routed Layer::forward(const at::Tensor& h,
                      const at::Tensor& x,
                      const Places& places,
                      const BatchPlace* training,
                      const Intervention* intervention) const {
  Routed result{.y = {}, .routing = router_.route(h, places, training, intervention)};
  result.y = router_.mixes() ? mixed(x, places, result.routing) : merged(x, places, result.routing);
  if (adapter_) result.y = x + result.y;
  return result;
}

}  // namespace ration::train::experts
